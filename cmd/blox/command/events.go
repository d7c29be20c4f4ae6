package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// eventFlags are the filters of "blox events".
type eventFlags struct {
	limit                            int64
	watch                            bool
	cluster, action, instance, actor string
	deployment, since, until         string
	sinceTime, untilTime             *strfmt.DateTime
}

func newEventsCommand(a *app) *cobra.Command {
	var flags eventFlags
	cmd := &cobra.Command{
		Use: "events [ENVIRONMENT]", Short: "List what Blox and its users did, oldest first",
		Long: `List what the scheduler and its users did, oldest first: tasks started and stopped, deployments, conditions and
requests. COUNT is the number of merged events or instances. With --watch, new events follow until Ctrl-C.

The filters take several values, separated by commas. Every event matches all filters.`,
		Example: `  blox events web-agent
  blox events --watch
  blox events --since 24h --actor '*' -o wide
  blox events --action taskFailed,taskStartFailed --cluster prod`,
		Args: positionalArgs("[ENVIRONMENT]"), ValidArgsFunction: a.environmentNames(),
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		if err := flags.parse(time.Now()); err != nil {
			return &usageError{cmd, err}
		}
		params := flags.params(args)
		if flags.watch {
			return a.watchEvents(ctx, c, params)
		}
		list, err := readEvents(ctx, c, params)
		if err != nil {
			return err
		}
		return a.list(list, "No events.", func(s show.Style) *show.Rows {
			rows := eventRows()
			for _, e := range list.Items {
				addEvent(rows, s, e)
			}
			return rows
		})
	})
	flags.add(a, cmd)
	return cmd
}

func (f *eventFlags) add(a *app, cmd *cobra.Command) {
	cmd.Flags().Int64Var(&f.limit, "limit", 100, "the newest `number` of events, 1 to 10000")
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "print new events until Ctrl-C")
	cmd.Flags().StringVar(&f.cluster, "cluster", "", "only of environments in these clusters, `names` or ARNs")
	cmd.Flags().StringVar(&f.action, "action", "", "only these `types` of events, such as taskFailed")
	cmd.Flags().StringVar(&f.instance, "instance", "",
		"only events of these container instances, `ARNs` or IDs")
	cmd.Flags().StringVar(&f.deployment, "deployment", "", "only of these deployments, `IDs`")
	cmd.Flags().StringVar(&f.actor, "actor", "", "only requests of this client, a `pattern` with * and ?")
	cmd.Flags().StringVar(&f.since, "since", "",
		"only since this `time`, such as 2026-01-31T13:00:00Z, or for so long, such as 24h")
	cmd.Flags().StringVar(&f.until, "until", "", "only before this `time`, in the same form")
	_ = cmd.RegisterFlagCompletionFunc("cluster", a.clusterNames)
}

// parse checks the flags that the API does not check.
func (f *eventFlags) parse(now time.Time) (err error) {
	if f.limit < 1 || f.limit > 10_000 {
		return fmt.Errorf("--limit %d: must be 1 to 10000", f.limit)
	}
	if f.watch && f.until != "" {
		return errors.New("--until and --watch are mutually exclusive")
	}
	if f.sinceTime, err = parseTimeFlag("--since", f.since, now); err != nil {
		return err
	}
	f.untilTime, err = parseTimeFlag("--until", f.until, now)
	return err
}

// parseTimeFlag reads a time, or how long ago it was; nil for an empty text.
func parseTimeFlag(flag, text string, now time.Time) (*strfmt.DateTime, error) {
	if text == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		ago, err := time.ParseDuration(text)
		if err != nil || ago < 0 {
			return nil, fmt.Errorf("%s %q: must be a time such as 2026-01-31T13:00:00Z, or a duration such as 24h", flag, text)
		}
		t = now.Add(-ago)
	}
	return conv.Pointer(strfmt.DateTime(t.UTC())), nil
}

func (f *eventFlags) params(args []string) *ds.ListEventsParams {
	params := ds.NewListEventsParams().WithLimit(&f.limit).WithCluster(optional(f.cluster)).
		WithAction(optional(f.action)).WithInstance(optional(f.instance)).WithDeployment(optional(f.deployment)).
		WithActor(optional(f.actor)).WithSince(f.sinceTime).WithUntil(f.untilTime)
	if len(args) > 0 {
		params.SetEnvironment(&args[0])
	}
	return params
}

// maxEventsInPage is the API's greatest limit.
const maxEventsInPage = 1000

// readEvents returns the newest events, at most the limit of params, oldest first.
func readEvents(ctx context.Context, c *connect.Clients, params *ds.ListEventsParams) (*models.Events, error) {
	rest := *params.Limit
	var list *models.Events
	for token := (*string)(nil); ; {
		page := *params
		page.Limit, page.NextToken = conv.Pointer(min(rest, maxEventsInPage)), token
		response, err := c.Scheduler.ListEventsContext(ctx, &page)
		if err != nil {
			return nil, err
		}
		if list == nil {
			list = response.Payload // its version is the first page's
		} else {
			list.Items = append(list.Items, response.Payload.Items...)
		}
		rest -= int64(len(response.Payload.Items))
		if token = optional(response.Payload.NextToken); token == nil || rest <= 0 {
			break
		}
	}
	list.NextToken = ""
	slices.Reverse(list.Items)
	return list, nil
}

func eventRows() *show.Rows {
	return &show.Rows{Columns: show.Columns("ID+", "AGE", "ENVIRONMENT", "EVENT", "COUNT", "REASON~", "DETAIL~",
		"ACTOR+", "CHANGES+", "TASK DEFINITION+", "DEPLOYMENT+", "LAST SEEN+")}
}

func addEvent(rows *show.Rows, s show.Style, e *models.Event) {
	rows.Add(conv.Value(e.ID), s.Age(time.Time(conv.Value(e.LastSeenAt))), conv.Value(e.Environment),
		conv.Value(e.Action), countOf(e), e.Reason, e.Detail, e.Actor, changesOf(e),
		s.ID(e.TaskDefinition), e.Deployment, s.Time(time.Time(conv.Value(e.LastSeenAt))))
}

// countOf returns the number of merged events or instances; empty if the event names none.
func countOf(e *models.Event) string {
	if count := conv.Value(e.Count); count > 0 {
		return number(count)
	}
	return ""
}

// changesOf formats what a request changed: "drainOrder: 3 -> 4"; empty if that would be all settings.
func changesOf(e *models.Event) string {
	if conv.Value(e.Action) == "environmentCreated" {
		return ""
	}
	var changes []string
	for _, c := range e.Changes {
		changes = append(changes, conv.Value(c.Field)+": "+cmp.Or(c.Before, "none")+" -> "+cmp.Or(c.After, "none"))
	}
	return strings.Join(changes, "; ")
}

func byActor(e *models.Event) string {
	if e.Actor == "" {
		return ""
	}
	return "by " + e.Actor
}

// printEvent prints an event on one line.
func (a *app) printEvent(e *models.Event) error {
	style := a.style(a.Out)
	if style.Structured() {
		body, err := e.MarshalBinary()
		if err != nil {
			return err
		}
		return style.EncodeLine(a.Out, body)
	}
	line := []string{style.Time(time.Time(conv.Value(e.LastSeenAt))), conv.Value(e.Environment), conv.Value(e.Action)}
	if count := countOf(e); count != "" {
		line = append(line, "×"+count)
	}
	if text := joinNonEmpty(style.ID(e.TaskDefinition), e.Reason, e.Detail, changesOf(e), byActor(e)); text != "" {
		line = append(line, text)
	}
	_, err := fmt.Fprintln(a.Out, style.Colourize(show.OneLine(strings.Join(line, "  "))))
	return err
}
