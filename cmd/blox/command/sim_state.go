package command

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
)

// simState is the state of the simulator.
type simState struct {
	Clusters  []string
	Instances []simInstance
	Tasks     []simTask
	Queues    map[string]int64
	Streams   map[string]int64
	Down      []string
}

// readState reads the simulator's state, of one cluster unless cluster is empty.
func readState(
	ctx context.Context, c *connect.Clients, cluster string,
) (raw json.RawMessage, state simState, err error) {
	query := url.Values{}
	if cluster != "" {
		query.Set("cluster", cluster)
	}
	if raw, err = c.Simulator.Control(ctx, http.MethodGet, "state", query, nil); err == nil {
		err = json.Unmarshal(raw, &state)
	}
	return raw, state, err
}

func newSimState(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "state", Short: "Summarize the simulator's state; -o json prints all of it",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			raw, state, err := readState(ctx, c, cluster)
			if err != nil {
				return err
			}
			return a.print(raw, func(s show.Style) printable { return stateFields(s, state) })
		}),
	}
	cmd.Flags().StringVar(&cluster, "cluster", "", "only this cluster, a `name` or an ARN")
	return cmd
}

func stateFields(s show.Style, state simState) *show.Fields {
	instances := map[string]int64{}
	for _, i := range state.Instances {
		instances[i.Status]++
	}
	tasks := map[string]int64{}
	for _, t := range state.Tasks {
		tasks[t.LastStatus]++
	}
	var clusters []string
	for _, arn := range state.Clusters {
		clusters = append(clusters, s.ID(arn))
	}
	f := &show.Fields{}
	f.Add("Clusters", strings.Join(clusters, ", "))
	f.Add("Instances", byStatus(instances))
	f.Add("Tasks", byStatus(tasks))
	for _, name := range sortedKeys(state.Queues) {
		f.Add("Queue "+name, number(state.Queues[name])+" messages")
	}
	for _, name := range sortedKeys(state.Streams) {
		f.Add("Stream "+name, number(state.Streams[name])+" records")
	}
	slices.Sort(state.Down)
	f.Add("Down", strings.Join(state.Down, ", "))
	return f
}
