package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	statemodels "github.com/blox/blox/swagger/cluster-state-service/v1/models"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func newStreamCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "stream", Short: "See changes as they happen, until Ctrl-C",
		Long: `See changes as they happen, a line for each, until Ctrl-C. With -o json every line is what the API sends; it can be
piped into other programs.

API Gateway ends every stream after 30 seconds: with Blox on AWS, take streams inside its network.`,
		Example: `  blox stream tasks --cluster default
  blox stream tasks -o json | jq -r .entity.lastStatus`,
	}
	cmd.AddCommand(newStreamTasks(a), newStreamInstances(a), newStreamEnvironments(a))
	return cmd
}

// streamFlags are what all streams know.
type streamFlags struct {
	cluster, from string
	deleted       bool
	heartbeat     int32
}

func (f *streamFlags) add(a *app, cmd *cobra.Command, resumable bool) {
	cmd.Flags().StringVar(&f.cluster, "cluster", "", "only changes in this cluster, a `name` or an ARN")
	cmd.Flags().BoolVar(&f.deleted, "deleted", false, "show deletions too")
	cmd.Flags().Int32Var(&f.heartbeat, "heartbeat", 0, "have the service send a sign of life every so many `seconds`, 1 to 300, which keeps proxies from cutting the stream")
	if resumable {
		cmd.Flags().StringVar(&f.from, "from", "", "begin with the changes since this `version`, which every list and every line tells")
	}
	_ = cmd.RegisterFlagCompletionFunc("cluster", a.clusterNames)
}

// every is the heartbeat as a parameter; nil when none is asked for.
func (f *streamFlags) every() *int32 {
	if f.heartbeat == 0 {
		return nil
	}
	return &f.heartbeat
}

func newStreamTasks(a *app) *cobra.Command {
	var flags streamFlags
	cmd := &cobra.Command{
		Use: "tasks", Short: "See changes of tasks as they happen",
		Args: names(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			lines := a.lines(func(line []byte, s show.Style) (string, error) {
				var t statemodels.Task
				if err := json.Unmarshal(line, &t); err != nil || t.Entity == nil {
					return "", err
				}
				if t.Metadata != nil && t.Metadata.Deleted {
					return fmt.Sprintf("%-14s %s", "(deleted)", s.ID(text(t.Entity.TaskARN))), nil
				}
				e := t.Entity
				return fmt.Sprintf("%-14s %s  %s on %s in %s%s", s.Word(text(e.LastStatus)), s.ID(text(e.TaskARN)), s.ID(text(e.TaskDefinitionARN)),
					orNone(s.ID(text(e.ContainerInstanceARN))), s.ID(text(e.ClusterARN)), labelled("  ", show.OneLine(e.StoppedReason))), nil
			})
			params := css.NewStreamTasksParams().WithCluster(optional(flags.cluster)).WithEntityVersion(optional(flags.from)).WithHeartbeat(flags.every())
			if flags.deleted {
				params.SetDeleted(&flags.deleted)
			}
			_, err := c.State.StreamTasksContext(ctx, params, lines)
			return lines.ended(ctx, err, "blox stream tasks")
		}),
	}
	flags.add(a, cmd, true)
	return cmd
}

func newStreamInstances(a *app) *cobra.Command {
	var flags streamFlags
	cmd := &cobra.Command{
		Use: "instances", Short: "See changes of container instances as they happen",
		Args: names(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			lines := a.lines(func(line []byte, s show.Style) (string, error) {
				var i statemodels.ContainerInstance
				if err := json.Unmarshal(line, &i); err != nil || i.Entity == nil {
					return "", err
				}
				e := i.Entity
				if i.Metadata != nil && i.Metadata.Deleted {
					return fmt.Sprintf("%-14s %s", "(deleted)", s.ID(text(e.ContainerInstanceARN))), nil
				}
				agent := "agent disconnected"
				if e.AgentConnected != nil && *e.AgentConnected {
					agent = "agent connected"
				}
				return fmt.Sprintf("%-14s %s  %s in %s, %s, CPU %s, memory %s", s.Word(text(e.Status)), s.ID(text(e.ContainerInstanceARN)),
					orNone(show.OneLine(e.EC2InstanceID)), s.ID(text(e.ClusterARN)), agent, freeOf(e, "CPU"), freeOf(e, "MEMORY")), nil
			})
			params := css.NewStreamInstancesParams().WithCluster(optional(flags.cluster)).WithEntityVersion(optional(flags.from)).WithHeartbeat(flags.every())
			if flags.deleted {
				params.SetDeleted(&flags.deleted)
			}
			_, err := c.State.StreamInstancesContext(ctx, params, lines)
			return lines.ended(ctx, err, "blox stream instances")
		}),
	}
	flags.add(a, cmd, true)
	return cmd
}

func newStreamEnvironments(a *app) *cobra.Command {
	var flags streamFlags
	cmd := &cobra.Command{
		Use: "environments", Short: "See changes of environments as they happen",
		Args: names(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			lines := a.lines(func(line []byte, s show.Style) (string, error) {
				var e models.Environment
				if err := json.Unmarshal(line, &e); err != nil || e.Name == nil {
					return "", err
				}
				if e.Metadata != nil && e.Metadata.Deleted {
					return fmt.Sprintf("%-10s %s", "(deleted)", text(e.Name)), nil
				}
				said := fmt.Sprintf("%-10s %s  %s  revision %d, %s", s.Word(e.Status), text(e.Name), text(e.Health), e.Revision, s.ID(text(e.TaskDefinition)))
				if e.DesiredCount != nil && e.RunningCount != nil {
					said += fmt.Sprintf(", %d/%d running", *e.RunningCount, *e.DesiredCount)
				}
				return said, nil
			})
			params := ds.NewStreamEnvironmentsParams().WithCluster(optional(flags.cluster))
			if flags.deleted {
				params.SetDeleted(&flags.deleted)
			}
			if every := int64(flags.heartbeat); every != 0 {
				params.SetHeartbeat(&every)
			}
			_, err := c.Scheduler.StreamEnvironmentsContext(ctx, params, lines)
			return lines.ended(ctx, err, "blox stream environments")
		}),
	}
	flags.add(a, cmd, false)
	return cmd
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// lines is where a stream is written to: it cuts it into lines and shows each at once.
type lines struct {
	app    *app
	style  show.Style
	people func(line []byte, s show.Style) (string, error) // empty for a line without a change
	rest   []byte                                          // the beginning of the next line
	last   string                                          // the version of the last whole line
	reason string                                          // why the service ends the stream, if it has said so
}

func (a *app) lines(people func([]byte, show.Style) (string, error)) *lines {
	return &lines{app: a, style: a.style(a.Out), people: people}
}

// Write is part of io.Writer.
func (l *lines) Write(chunk []byte) (int, error) {
	l.rest = append(l.rest, chunk...)
	for {
		end := bytes.IndexByte(l.rest, '\n')
		if end < 0 {
			return len(chunk), nil
		}
		if err := l.show(l.rest[:end]); err != nil {
			return 0, err
		}
		l.rest = l.rest[end+1:]
	}
}

func (l *lines) show(line []byte) error {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	var about struct {
		Metadata struct{ EntityVersion string }
		Error    string
	}
	if err := json.Unmarshal(line, &about); err != nil {
		return fmt.Errorf("a line of the stream is no JSON: %w", err)
	}
	if about.Metadata.EntityVersion != "" {
		l.last = about.Metadata.EntityVersion
	}
	if about.Error != "" {
		l.reason = about.Error
		return nil
	}
	if l.style.Format != show.Table {
		return show.EncodeLine(l.app.Out, l.style.Format, line)
	}
	said, err := l.people(line, l.style)
	if err != nil {
		return fmt.Errorf("a line of the stream: %w", err)
	}
	if said == "" {
		return nil
	}
	_, err = fmt.Fprintln(l.app.Out, strings.TrimRight(said, " "))
	return err
}

// ended is what the end of a stream means: nothing when ctx has ended, as streams have no other end.
func (l *lines) ended(ctx context.Context, err error, command string) error {
	var refused *connect.Refused
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.As(err, &refused):
		return err
	case l.reason != "":
		err = fmt.Errorf("the service has ended the stream: %s", l.reason)
	case err == nil:
		err = errors.New("the service has ended the stream: it is being stopped")
	}
	if l.last != "" && command != "blox stream environments" {
		err = fmt.Errorf("%w\nGo on without missing anything: %s --from %s", err, command, l.last)
	}
	return err
}
