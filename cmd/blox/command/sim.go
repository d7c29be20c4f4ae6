package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/blox/blox/cmd/blox/connect"
	"github.com/blox/blox/cmd/blox/show"
)

func newSimCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "sim", Short: "Control the ECS simulator that \"make local\" runs",
		Long: `Control the ECS simulator that "make local" and ecs-sim run: add and remove container instances, stop tasks, register
task definitions, and inject faults. These commands never reach a real ECS.

Instances and tasks are named by ARN or id.`,
		Example: `  blox sim instances add --count 10
  blox sim task-definitions register agent
  blox sim tasks kill 5bb4f837205844218c118cdcf855655a --exit-code 139
  blox sim faults set '{"failToRun": {"agent": 0.2}}'`,
	}
	cmd.PersistentFlags().StringVar(&a.cfg.SimEndpoint, "sim-endpoint", a.cfg.SimEndpoint, "`URL` of the simulator (BLOX_SIM_ENDPOINT)")
	_ = cmd.RegisterFlagCompletionFunc("sim-endpoint", noFiles)
	for _, newCommand := range []func(*app) *cobra.Command{
		newSimInstances, newSimTasks, newSimTaskDefinitions, newSimClusters, newSimFaults, newSimServices, newSimState, newSimCounters,
	} {
		cmd.AddCommand(newCommand(a))
	}
	return cmd
}

// simInstance is a container instance of the simulator.
type simInstance struct {
	ARN, ClusterARN, EC2InstanceID, Status                                 string
	AgentConnected                                                         bool
	CPU, Memory, RemainingCPU, RemainingMemory, RunningTasks, PendingTasks int64
}

// simTask is a task of the simulator.
type simTask struct {
	ARN, ClusterARN, InstanceARN, TaskDefinitionARN, StartedBy, LastStatus, DesiredStatus, StoppedReason string
	ExitCode                                                                                             *int64
}

// simState is the state of the simulator.
type simState struct {
	Clusters  []string
	Instances []simInstance
	Tasks     []simTask
	Queues    map[string]int64
	Streams   map[string]int64
	Down      []string
}

func readState(ctx context.Context, c *connect.Clients, cluster string) (raw json.RawMessage, state simState, err error) {
	query := url.Values{}
	if cluster != "" {
		query.Set("cluster", cluster)
	}
	if raw, err = c.Simulator.Control(ctx, http.MethodGet, "state", query, nil); err == nil {
		err = json.Unmarshal(raw, &state)
	}
	return raw, state, err
}

func newSimInstances(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "instances", Aliases: []string{"instance"}, Short: "Add, drain, remove and disconnect container instances"}
	var cluster string
	var count int64
	add := &cobra.Command{
		Use: "add", Short: "Add container instances to a cluster",
		Example: "  blox sim instances add --cluster prod --count 10",
		Args:    positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			raw, err := c.Simulator.Control(ctx, http.MethodPost, "instances", url.Values{"cluster": {cluster}, "count": {number(count)}}, nil)
			if err != nil {
				return err
			}
			var made struct{ Instances []string }
			if err := json.Unmarshal(raw, &made); err != nil {
				return err
			}
			return a.print(raw, func(s show.Style) printable {
				rows := &show.Rows{Columns: show.Columns("INSTANCE")}
				for _, arn := range made.Instances {
					rows.Add(s.ID(arn))
				}
				return rows
			})
		}),
	}
	add.Flags().StringVar(&cluster, "cluster", "default", "cluster, a `name` or an ARN; created if missing")
	add.Flags().Int64Var(&count, "count", 1, "number of instances")
	cmd.AddCommand(add, newSimInstancesList(a))
	for _, change := range []struct {
		use, short, method, path, done string
		more                           url.Values
	}{
		{"drain", "Set a container instance to DRAINING", http.MethodPost, "instances/drain", "is DRAINING", nil},
		{"activate", "Set a DRAINING container instance back to ACTIVE", http.MethodPost, "instances/activate", "is ACTIVE", nil},
		{"remove", "Terminate a container instance: INACTIVE, its tasks STOPPED", http.MethodDelete, "instances", "removed", nil},
		{"disconnect", "Disconnect the agent of a container instance", http.MethodPost, "instances/agent", "agent disconnected", url.Values{"connected": {"false"}}},
		{"connect", "Reconnect the agent of a container instance", http.MethodPost, "instances/agent", "agent connected", url.Values{"connected": {"true"}}},
	} {
		cmd.AddCommand(&cobra.Command{
			Use: change.use + " INSTANCE", Short: change.short, Args: positionalArgs("INSTANCE"), ValidArgsFunction: noFiles,
			RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
				query := url.Values{"instance": {args[0]}}
				for name, value := range change.more {
					query[name] = value
				}
				return a.sendControl(ctx, c, change.method, change.path, query, "Instance "+args[0]+" "+change.done+".")
			}),
		})
	}
	return cmd
}

// sendControl sends a request to the control API and prints its result, or done for people.
func (a *app) sendControl(ctx context.Context, c *connect.Clients, method, path string, query url.Values, done string) error {
	raw, err := c.Simulator.Control(ctx, method, path, query, nil)
	if err != nil {
		return err
	}
	if a.format != string(show.Table) {
		return show.Encode(a.Out, show.Format(a.format), raw)
	}
	a.info("%s", done)
	return nil
}

func newSimInstancesList(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the simulated container instances",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			raw, state, err := readState(ctx, c, cluster)
			if err != nil {
				return err
			}
			return a.list(listOf(raw, "instances"), "No instances. Add some with \"blox sim instances add\".", func(s show.Style) *show.Rows {
				rows := &show.Rows{Columns: show.Columns("INSTANCE~", "CLUSTER~", "EC2 INSTANCE", "STATUS", "AGENT", "CPU", "MEMORY", "RUNNING", "PENDING")}
				for _, i := range state.Instances {
					agent := "disconnected"
					if i.AgentConnected {
						agent = "connected"
					}
					rows.Add(s.ID(i.ARN), s.ID(i.ClusterARN), i.EC2InstanceID, i.Status, agent, number(i.RemainingCPU)+"/"+number(i.CPU),
						number(i.RemainingMemory)+"/"+number(i.Memory), number(i.RunningTasks), number(i.PendingTasks))
				}
				return rows
			})
		}),
	}
	cmd.Flags().StringVar(&cluster, "cluster", "", "only in this cluster, a `name` or an ARN")
	return cmd
}

// listOf returns a field of an object as a list in the API's shape.
func listOf(raw json.RawMessage, name string) any {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil || object[name] == nil {
		return map[string]any{"items": []any{}}
	}
	return map[string]any{"items": object[name]}
}

func newSimTasks(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "tasks", Aliases: []string{"task"}, Short: "List, stop and start simulated tasks"}
	var cluster, fargateCluster, family string
	var code int64
	list := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the simulated tasks",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			raw, state, err := readState(ctx, c, cluster)
			if err != nil {
				return err
			}
			return a.list(listOf(raw, "tasks"), "No tasks.", func(s show.Style) *show.Rows {
				rows := &show.Rows{Columns: show.Columns("TASK~", "CLUSTER~", "TASK DEFINITION~", "STATUS", "DESIRED", "INSTANCE~", "STARTED BY~", "EXIT CODE", "STOPPED REASON~")}
				for _, t := range state.Tasks {
					rows.Add(s.ID(t.ARN), s.ID(t.ClusterARN), s.ID(t.TaskDefinitionARN), t.LastStatus, t.DesiredStatus, s.ID(t.InstanceARN), t.StartedBy,
						show.Count(t.ExitCode), t.StoppedReason)
				}
				return rows
			})
		}),
	}
	list.Flags().StringVar(&cluster, "cluster", "", "only in this cluster, a `name` or an ARN")
	kill := &cobra.Command{
		Use: "kill TASK", Short: "Make the container of a task exit",
		Example: "  blox sim tasks kill 5bb4f837205844218c118cdcf855655a --exit-code 139",
		Args:    positionalArgs("TASK"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			return a.sendControl(ctx, c, http.MethodPost, "tasks/kill", url.Values{"task": {args[0]}, "exitCode": {number(code)}}, "Task "+args[0]+" exited.")
		}),
	}
	kill.Flags().Int64Var(&code, "exit-code", 1, "the container's exit `code`, 0 to 255")
	fargate := &cobra.Command{
		Use: "fargate FAMILY", Short: "Start a Fargate task, which has no container instance",
		Args: positionalArgs("FAMILY"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			family = args[0]
			return a.sendControl(ctx, c, http.MethodPost, "tasks/fargate", url.Values{"cluster": {fargateCluster}, "family": {family}}, "Task of "+family+" started.")
		}),
	}
	fargate.Flags().StringVar(&fargateCluster, "cluster", "default", "cluster, a `name` or an ARN")
	cmd.AddCommand(list, kill, fargate)
	return cmd
}

func newSimTaskDefinitions(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "task-definitions", Aliases: []string{"task-definition", "td"}, Short: "Register task definitions, and list them"}
	cmd.AddCommand(newSimRegister(a), newSimDefinitionsList(a))
	return cmd
}

func newSimRegister(a *app) *cobra.Command {
	var cpu, memory, port int64
	var file string
	cmd := &cobra.Command{
		Use: "register [FAMILY]", Short: "Register the next revision of a task definition",
		Long: `Register the next revision of a task definition: with one container, or with --file, from the input of ECS's
RegisterTaskDefinition.`,
		Example: `  blox sim task-definitions register agent --cpu 64 --memory 128
  blox sim task-definitions register --file taskdef.json`,
		Args: positionalArgs("[FAMILY]"), ValidArgsFunction: noFiles,
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		if (file == "") == (len(args) == 0) {
			return &usageError{cmd, errors.New("use either FAMILY or --file")}
		}
		if file != "" {
			input, err := readDocument(file, a.In)
			if err != nil {
				return &usageError{cmd, fmt.Errorf("--file: %w", err)}
			}
			var made struct {
				TaskDefinition struct{ TaskDefinitionArn string }
			}
			if err := c.Simulator.ECS(ctx, "RegisterTaskDefinition", input, &made); err != nil {
				return err
			}
			return a.printDefinition(made.TaskDefinition.TaskDefinitionArn)
		}
		query := url.Values{"family": {args[0]}, "cpu": {number(cpu)}, "memory": {number(memory)}}
		if port > 0 {
			query.Set("hostPort", number(port))
		}
		raw, err := c.Simulator.Control(ctx, http.MethodPost, "task-definitions", query, nil)
		if err != nil {
			return err
		}
		var made struct{ TaskDefinition string }
		if err := json.Unmarshal(raw, &made); err != nil {
			return err
		}
		return a.printDefinition(made.TaskDefinition)
	})
	cmd.Flags().Int64Var(&cpu, "cpu", 128, "CPU `units` of the container")
	cmd.Flags().Int64Var(&memory, "memory", 256, "memory of the container, in `MiB`")
	cmd.Flags().Int64Var(&port, "host-port", 0, "static host `port` of the container")
	cmd.Flags().StringVarP(&file, "file", "f", "", "`file` in JSON or YAML with the input of RegisterTaskDefinition; - for stdin")
	return cmd
}

func (a *app) printDefinition(arn string) error {
	return a.print(map[string]string{"taskDefinition": arn}, func(s show.Style) printable {
		rows := &show.Rows{Columns: show.Columns("TASK DEFINITION")}
		rows.Add(s.ID(arn))
		return rows
	})
}

func newSimDefinitionsList(a *app) *cobra.Command {
	var family string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the ACTIVE task definitions",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			all := []string{}
			input := map[string]string{}
			if family != "" {
				input["familyPrefix"] = family
			}
			for {
				var page struct {
					TaskDefinitionArns []string
					NextToken          string
				}
				if err := c.Simulator.ECS(ctx, "ListTaskDefinitions", input, &page); err != nil {
					return err
				}
				all = append(all, page.TaskDefinitionArns...)
				if page.NextToken == "" {
					break
				}
				input["nextToken"] = page.NextToken
			}
			return a.list(map[string]any{"items": all}, "No task definitions. Register one with \"blox sim task-definitions register\".", func(s show.Style) *show.Rows {
				rows := &show.Rows{Columns: show.Columns("TASK DEFINITION")}
				for _, arn := range all {
					rows.Add(s.ID(arn))
				}
				return rows
			})
		}),
	}
	cmd.Flags().StringVar(&family, "family", "", "only of this `family`")
	return cmd
}

func newSimClusters(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "clusters", Aliases: []string{"cluster"}, Short: "Create clusters"}
	cmd.AddCommand(&cobra.Command{
		Use: "add NAME", Short: "Create a cluster", Args: positionalArgs("NAME"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			return a.sendControl(ctx, c, http.MethodPost, "clusters", url.Values{"name": {args[0]}}, "Cluster "+args[0]+" created.")
		}),
	})
	return cmd
}

func newSimFaults(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "faults", Aliases: []string{"fault"}, Short: "Inject faults",
		Long: `Inject faults: throttled calls, lost responses, late and duplicate events, failing starts, tasks that stop.
internal/ecssim/README.md describes the fields; fractions are from 0 to 1.`,
		Example: `  blox sim faults set '{"throttle": {"ecs": 0.1}, "lostResponses": {"StartTask": 0.05}}'
  blox sim faults set '{"startFailures": 0.2, "startFailureReason": "RESOURCE:MEMORY"}'
  blox sim faults clear`,
	}
	send := func(method string, body []byte) commandFunc {
		return func(ctx context.Context, c *connect.Clients, _ []string) error {
			raw, err := c.Simulator.Control(ctx, method, "faults", nil, body)
			if err != nil {
				return err
			}
			return a.printRaw(raw)
		}
	}
	var file string
	set := &cobra.Command{
		Use: "set [JSON]", Short: "Set the faults; replaces all earlier ones", Args: positionalArgs("[JSON]"), ValidArgsFunction: noFiles,
	}
	set.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		if (file == "") == (len(args) == 0) {
			return &usageError{set, errors.New("use either JSON or --file")}
		}
		var document map[string]any
		var err error
		if file != "" {
			document, err = readDocument(file, a.In)
		} else {
			document, err = readDocument("-", strings.NewReader(args[0]))
		}
		if err != nil {
			return &usageError{set, err}
		}
		body, err := json.Marshal(document)
		if err != nil {
			return err
		}
		return send(http.MethodPut, body)(ctx, c, nil)
	})
	set.Flags().StringVarP(&file, "file", "f", "", "`file` in JSON or YAML; - for stdin")
	cmd.AddCommand(set,
		&cobra.Command{Use: "show", Short: "Show the faults", Args: positionalArgs(), ValidArgsFunction: noFiles, RunE: a.run(send(http.MethodGet, nil))},
		&cobra.Command{Use: "clear", Short: "Clear all faults", Args: positionalArgs(), ValidArgsFunction: noFiles, RunE: a.run(send(http.MethodPut, []byte("{}")))},
	)
	return cmd
}

func newSimServices(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "services", Aliases: []string{"service"}, Short: "Make ECS, SQS or Kinesis return 503"}
	for _, down := range []bool{true, false} {
		use, short, done := "up", "End the outage of a service", " is up."
		if down {
			use, short, done = "down", "Make a service return 503 until \"up\"", " is down."
		}
		cmd.AddCommand(&cobra.Command{
			Use: use + " SERVICE", Short: short, Long: short + ". SERVICE is ecs, sqs or kinesis.", Args: positionalArgs("SERVICE"), ValidArgsFunction: fixed("ecs", "sqs", "kinesis"),
			RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
				return a.sendControl(ctx, c, http.MethodPost, "services", url.Values{"service": {args[0]}, "down": {strconv.FormatBool(down)}}, args[0]+done)
			}),
		})
	}
	return cmd
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
			return a.print(raw, func(s show.Style) printable {
				f, instances, tasks := &show.Fields{}, map[string]int64{}, map[string]int64{}
				for _, i := range state.Instances {
					instances[i.Status]++
				}
				for _, t := range state.Tasks {
					tasks[t.LastStatus]++
				}
				var clusters []string
				for _, arn := range state.Clusters {
					clusters = append(clusters, s.ID(arn))
				}
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
			})
		}),
	}
	cmd.Flags().StringVar(&cluster, "cluster", "", "only this cluster, a `name` or an ARN")
	return cmd
}

func newSimCounters(a *app) *cobra.Command {
	var reset bool
	cmd := &cobra.Command{
		Use: "counters", Short: "Show counters of calls and invariants",
		Args: positionalArgs(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			method := http.MethodGet
			if reset {
				method = http.MethodDelete
			}
			raw, err := c.Simulator.Control(ctx, method, "counters", nil, nil)
			if err != nil {
				return err
			}
			return a.printRaw(raw)
		}),
	}
	cmd.Flags().BoolVar(&reset, "reset", false, "reset the counters")
	return cmd
}

// printRaw prints JSON that has no table; people get YAML.
func (a *app) printRaw(raw json.RawMessage) error {
	format := show.Format(a.format)
	if format == show.Table {
		format = show.YAML
	}
	return show.Encode(a.Out, format, raw)
}
