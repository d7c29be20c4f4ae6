package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-openapi/swag/conv"
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
		Use: "stream", Short: "Stream changes until Ctrl-C",
		Long: `Stream changes, one per line, until Ctrl-C. With -o json, each line is the API's JSON object.

API Gateway ends every stream after 30 seconds. With Blox on AWS, open streams from inside its network.`,
		Example: `  blox stream tasks --cluster default
  blox stream tasks -o json | jq -r .entity.lastStatus`,
	}
	cmd.AddCommand(newStreamTasks(a), newStreamInstances(a), newStreamEnvironments(a))
	return cmd
}

// streamFlags are the flags of all streams.
type streamFlags struct {
	placeFilter
	cluster, from, search string
	deleted               bool
	heartbeat             int32
}

func (f *streamFlags) add(a *app, cmd *cobra.Command, resumable bool) {
	cmd.Flags().StringVar(&f.cluster, "cluster", "", "only in this cluster, a `name` or an ARN")
	cmd.Flags().BoolVar(&f.deleted, "deleted", false, "include deletions")
	cmd.Flags().Int32Var(&f.heartbeat, "heartbeat", 0,
		"interval of heartbeats in `seconds`, 1 to 300; they keep proxies from closing the stream")
	f.placeFilter.addFlags(cmd)
	if resumable {
		cmd.Flags().StringVar(&f.search, "search", "", searchHelp)
		cmd.Flags().StringVar(&f.from, "from", "", "start at this entity `version`, as reported by lists and lines")
	}
	_ = cmd.RegisterFlagCompletionFunc("cluster", a.clusterNames)
}

// heartbeatParam returns the heartbeat as a parameter, or nil without one.
func (f *streamFlags) heartbeatParam() *int32 {
	if f.heartbeat == 0 {
		return nil
	}
	return &f.heartbeat
}

func newStreamTasks(a *app) *cobra.Command {
	var flags streamFlags
	var clusters show.StreamClusters
	cmd := &cobra.Command{
		Use: "tasks", Short: "Stream changes of tasks",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			lines := a.newLineWriter(func(line []byte, s show.Style) (string, error) {
				var t statemodels.Task
				if err := json.Unmarshal(line, &t); err != nil || t.Entity == nil {
					return "", err
				}
				if t.Metadata != nil && t.Metadata.Deleted {
					return fmt.Sprintf("%-14s %s", "(deleted)", s.ID(conv.Value(t.Entity.TaskARN))), nil
				}
				e := t.Entity
				return fmt.Sprintf("%-14s %s  %s on %s in %s%s", s.Colourize(conv.Value(e.LastStatus)), s.ID(conv.Value(e.TaskARN)),
					s.ID(conv.Value(e.TaskDefinitionARN)),
					orDash(s.ID(conv.Value(e.ContainerInstanceARN))), clusters.Name(s, conv.Value(e.ClusterARN)),
					labelled("  ", show.OneLine(e.StoppedReason))), nil
			})
			params := css.NewStreamTasksParams().WithCluster(optional(flags.cluster)).WithEntityVersion(optional(flags.from)).
				WithHeartbeat(flags.heartbeatParam()).WithSearch(optional(flags.search)).
				WithAccount(optional(flags.account)).WithRegion(optional(flags.region))
			if flags.deleted {
				params.SetDeleted(&flags.deleted)
			}
			_, err := c.State.StreamTasksContext(ctx, params, lines)
			return lines.streamError(ctx, err, "blox stream tasks")
		}),
	}
	flags.add(a, cmd, true)
	return cmd
}

func newStreamInstances(a *app) *cobra.Command {
	var flags streamFlags
	var clusters show.StreamClusters
	cmd := &cobra.Command{
		Use: "instances", Short: "Stream changes of container instances",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			lines := a.newLineWriter(func(line []byte, s show.Style) (string, error) {
				var i statemodels.ContainerInstance
				if err := json.Unmarshal(line, &i); err != nil || i.Entity == nil {
					return "", err
				}
				e := i.Entity
				if i.Metadata != nil && i.Metadata.Deleted {
					return fmt.Sprintf("%-14s %s", "(deleted)", s.ID(conv.Value(e.ContainerInstanceARN))), nil
				}
				agent := "ECS agent disconnected"
				if e.AgentConnected != nil && *e.AgentConnected {
					agent = "ECS agent connected"
				}
				return fmt.Sprintf("%-14s %s  %s in %s, %s, CPU %s, memory %s", s.Colourize(conv.Value(e.Status)),
					s.ID(conv.Value(e.ContainerInstanceARN)),
					orDash(show.OneLine(e.EC2InstanceID)), clusters.Name(s, conv.Value(e.ClusterARN)), agent, remainingOf(e, "CPU"),
					remainingOf(e, "MEMORY")), nil
			})
			params := css.NewStreamInstancesParams().WithCluster(optional(flags.cluster)).
				WithEntityVersion(optional(flags.from)).WithHeartbeat(flags.heartbeatParam()).
				WithSearch(optional(flags.search)).WithAccount(optional(flags.account)).WithRegion(optional(flags.region))
			if flags.deleted {
				params.SetDeleted(&flags.deleted)
			}
			_, err := c.State.StreamInstancesContext(ctx, params, lines)
			return lines.streamError(ctx, err, "blox stream instances")
		}),
	}
	flags.add(a, cmd, true)
	return cmd
}

func newStreamEnvironments(a *app) *cobra.Command {
	var flags streamFlags
	cmd := &cobra.Command{
		Use: "environments", Short: "Stream changes of environments",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			lines := a.newLineWriter(func(line []byte, s show.Style) (string, error) {
				var e models.Environment
				if err := json.Unmarshal(line, &e); err != nil || e.Name == nil {
					return "", err
				}
				if e.Metadata != nil && e.Metadata.Deleted {
					return fmt.Sprintf("%-10s %s", "(deleted)", conv.Value(e.Name)), nil
				}
				out := fmt.Sprintf("%-10s %s  %s  revision %d, %s", s.Colourize(e.Status), conv.Value(e.Name), conv.Value(e.Health),
					e.Revision, s.ID(e.TaskDefinition))
				return joinNonEmpty(out, environmentProgress(&e)), nil
			})
			params := ds.NewStreamEnvironmentsParams().WithCluster(optional(flags.cluster)).
				WithAccount(optional(flags.account)).WithRegion(optional(flags.region))
			if flags.deleted {
				params.SetDeleted(&flags.deleted)
			}
			if every := int64(flags.heartbeat); every != 0 {
				params.SetHeartbeat(&every)
			}
			_, err := c.Scheduler.StreamEnvironmentsContext(ctx, params, lines)
			return lines.streamError(ctx, err, "blox stream environments")
		}),
	}
	flags.add(a, cmd, false)
	return cmd
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// lineWriter splits a stream into lines and prints each at once.
type lineWriter struct {
	app         *app
	style       show.Style
	format      func(line []byte, s show.Style) (string, error) // returns an empty string for a line without a change
	handle      func(line []byte) error                         // if set, it replaces printing
	partial     []byte                                          // start of a line whose end has not arrived
	lastVersion string                                          // entity version of the last complete line
	// endReason is the reason that the service gave for ending the stream, if it sent an error line.
	endReason string
}

func (a *app) newLineWriter(people func([]byte, show.Style) (string, error)) *lineWriter {
	return &lineWriter{app: a, style: a.style(a.Out), format: people}
}

// Write implements io.Writer.
func (l *lineWriter) Write(chunk []byte) (int, error) {
	l.partial = append(l.partial, chunk...)
	for {
		end := bytes.IndexByte(l.partial, '\n')
		if end < 0 {
			return len(chunk), nil
		}
		if err := l.writeLine(l.partial[:end]); err != nil {
			return 0, err
		}
		l.partial = l.partial[end+1:]
	}
}

func (l *lineWriter) writeLine(line []byte) error {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	var about struct {
		Metadata struct{ EntityVersion string }
		Error    string
	}
	if err := json.Unmarshal(line, &about); err != nil {
		return fmt.Errorf("decode a line of the stream: %w", err)
	}
	if about.Metadata.EntityVersion != "" {
		l.lastVersion = about.Metadata.EntityVersion
	}
	if about.Error != "" {
		l.endReason = about.Error
		return nil
	}
	if l.handle != nil {
		return l.handle(line)
	}
	if l.style.Structured() {
		return l.style.EncodeLine(l.app.Out, line)
	}
	out, err := l.format(line, l.style)
	if err != nil {
		return fmt.Errorf("decode a line of the stream: %w", err)
	}
	if out == "" {
		return nil
	}
	_, err = fmt.Fprintln(l.app.Out, strings.TrimRight(out, " "))
	return err
}

// streamError returns why the stream ended, or nil if ctx ended: a stream has no other regular end.
func (l *lineWriter) streamError(ctx context.Context, err error, command string) error {
	var refused *connect.ResponseError
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.As(err, &refused):
		return err
	case l.endReason != "":
		err = fmt.Errorf("the service ended the stream: %s", l.endReason)
	case err == nil:
		err = errors.New("the service ended the stream: it is shutting down")
	}
	if l.lastVersion != "" && command != "blox stream environments" {
		err = fmt.Errorf("%w\nResume without a gap: %s --from %s", err, command, l.lastVersion)
	}
	return err
}
