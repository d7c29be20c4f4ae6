package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-openapi/swag/conv"
	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	"github.com/blox/blox/internal/backoff"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// eventsInterval is the interval at which --watch reads events. Blox merges those of one second.
const eventsInterval = time.Second

func newEventsCommand(a *app) *cobra.Command {
	var limit int64
	var watch bool
	cmd := &cobra.Command{
		Use: "events [ENVIRONMENT]", Short: "List what Blox and its users did, oldest first",
		Long: `List what the scheduler and its users did, oldest first: tasks started and stopped, deployments, conditions and
requests. COUNT is the number of merged events or instances. With --watch, new events follow until Ctrl-C.`,
		Example: `  blox events web-agent
  blox events --watch`,
		Args: positionalArgs("[ENVIRONMENT]"), ValidArgsFunction: a.environmentNames(),
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		if limit < 1 || limit > 1000 {
			return &usageError{cmd, fmt.Errorf("--limit %d: must be 1 to 1000", limit)}
		}
		params := ds.NewListEventsParams().WithLimit(conv.Pointer(limit))
		if len(args) > 0 {
			params.SetEnvironment(&args[0])
		}
		if watch {
			return a.watchEvents(ctx, c, params)
		}
		list, err := c.Scheduler.ListEventsContext(ctx, params)
		if err != nil {
			return err
		}
		slices.Reverse(list.Payload.Items)
		return a.list(list.Payload, "No events.", func(s show.Style) *show.Rows {
			rows := eventRows()
			for _, e := range list.Payload.Items {
				addEvent(rows, s, e)
			}
			return rows
		})
	})
	cmd.Flags().Int64Var(&limit, "limit", 100, "the newest `number` of events, 1 to 1000")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "print new events until Ctrl-C")
	return cmd
}

func eventRows() *show.Rows {
	return &show.Rows{Columns: show.Columns("ID+", "AGE", "ENVIRONMENT", "EVENT", "COUNT", "REASON~", "DETAIL~",
		"ACTOR+", "CHANGES+", "TASK DEFINITION+", "DEPLOYMENT+", "LAST SEEN+")}
}

func addEvent(rows *show.Rows, s show.Style, e *models.Event) {
	rows.Add(conv.Value(e.ID), s.Age(time.Time(conv.Value(e.LastSeenAt))), conv.Value(e.Environment),
		conv.Value(e.Action), number(conv.Value(e.Count)), e.Reason, e.Detail, e.Actor, changesOf(e),
		s.ID(e.TaskDefinition), e.Deployment, s.Time(time.Time(conv.Value(e.LastSeenAt))))
}

// changesOf formats what an update changed: "drainOrder: 3 -> 4"; empty for other events.
func changesOf(e *models.Event) string {
	if conv.Value(e.Action) != "environmentUpdated" {
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

// watchEvents prints the events, and each new or merged one, until ctx ends.
func (a *app) watchEvents(ctx context.Context, c *connect.Clients, params *ds.ListEventsParams) error {
	printed := map[string]int64{} // counts by id
	for {
		var list []*models.Event
		err := poll(ctx, func() (bool, error) {
			response, err := c.Scheduler.ListEventsContext(ctx, params)
			if err == nil {
				list = response.Payload.Items
			}
			return true, err
		})
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		known := map[string]int64{}
		for _, e := range slices.Backward(list) {
			id, count := conv.Value(e.ID), conv.Value(e.Count)
			if before, seen := printed[id]; !seen || before != count {
				if err := a.printEvent(e); err != nil {
					return err
				}
			}
			known[id] = count
		}
		printed = known
		if !backoff.Sleep(ctx, eventsInterval) {
			return nil
		}
	}
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
	if count := conv.Value(e.Count); count > 0 {
		line = append(line, "×"+number(count))
	}
	if text := joinNonEmpty(style.ID(e.TaskDefinition), e.Reason, e.Detail, changesOf(e), byActor(e)); text != "" {
		line = append(line, text)
	}
	_, err := fmt.Fprintln(a.Out, style.Colourize(show.OneLine(strings.Join(line, "  "))))
	return err
}
