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
		Use: "sim", Short: "Play with the simulated ECS that \"make local\" runs",
		Long: `Play with the simulated ECS that "make local" and ecs-sim run: make container instances join and leave, let tasks die,
register task definitions, and have things fail as they do at AWS. It says nothing about a real ECS, and changes none.

An instance or a task is given by its ARN or its id.`,
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

// simInstance is a container instance as the simulator shows it.
type simInstance struct {
	ARN, ClusterARN, EC2InstanceID, Status                                 string
	AgentConnected                                                         bool
	CPU, Memory, RemainingCPU, RemainingMemory, RunningTasks, PendingTasks int64
}

// simTask is a task as the simulator shows it.
type simTask struct {
	ARN, ClusterARN, InstanceARN, TaskDefinitionARN, StartedBy, LastStatus, DesiredStatus, StoppedReason string
	ExitCode                                                                                             *int64
}

// simState is all that the simulator holds.
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
	cmd := &cobra.Command{Use: "instances", Aliases: []string{"instance"}, Short: "Make container instances join, drain, leave, and lose their agent"}
	var cluster string
	var count int64
	add := &cobra.Command{
		Use: "add", Short: "Have container instances join a cluster",
		Example: "  blox sim instances add --cluster prod --count 10",
		Args:    names(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			raw, err := c.Simulator.Control(ctx, http.MethodPost, "instances", url.Values{"cluster": {cluster}, "count": {number(count)}}, nil)
			if err != nil {
				return err
			}
			var made struct{ Instances []string }
			if err := json.Unmarshal(raw, &made); err != nil {
				return err
			}
			return a.print(raw, func(s show.Style) written {
				rows := &show.Rows{Columns: show.Columns("INSTANCE")}
				for _, arn := range made.Instances {
					rows.Add(s.ID(arn))
				}
				return rows
			})
		}),
	}
	add.Flags().StringVar(&cluster, "cluster", "default", "the cluster, a `name` or an ARN; it is made if there is none")
	add.Flags().Int64Var(&count, "count", 1, "how many")
	cmd.AddCommand(add, newSimInstancesList(a))
	for _, deed := range []struct {
		use, short, method, path, done string
		more                           url.Values
	}{
		{"drain", "Set a container instance to DRAINING", http.MethodPost, "instances/drain", "is DRAINING", nil},
		{"activate", "Set a DRAINING container instance back to ACTIVE", http.MethodPost, "instances/activate", "is ACTIVE", nil},
		{"remove", "Terminate a container instance: INACTIVE, its tasks STOPPED", http.MethodDelete, "instances", "is gone", nil},
		{"disconnect", "Disconnect the agent of a container instance", http.MethodPost, "instances/agent", "has no agent any more", url.Values{"connected": {"false"}}},
		{"connect", "Connect the agent of a container instance again", http.MethodPost, "instances/agent", "has its agent again", url.Values{"connected": {"true"}}},
	} {
		cmd.AddCommand(&cobra.Command{
			Use: deed.use + " INSTANCE", Short: deed.short, Args: names("INSTANCE"), ValidArgsFunction: noFiles,
			RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
				query := url.Values{"instance": {args[0]}}
				for name, value := range deed.more {
					query[name] = value
				}
				return a.deed(ctx, c, deed.method, deed.path, query, "Instance "+args[0]+" "+deed.done+".")
			}),
		})
	}
	return cmd
}

// deed sends a request of the control API and says what is so then.
func (a *app) deed(ctx context.Context, c *connect.Clients, method, path string, query url.Values, done string) error {
	raw, err := c.Simulator.Control(ctx, method, path, query, nil)
	if err != nil {
		return err
	}
	if a.format != string(show.Table) {
		return show.Encode(a.Out, show.Format(a.format), raw)
	}
	a.note("%s", done)
	return nil
}

func newSimInstancesList(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the simulated container instances",
		Args: names(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			raw, state, err := readState(ctx, c, cluster)
			if err != nil {
				return err
			}
			return a.list(field(raw, "instances"), "There are no instances. \"blox sim instances add\" makes some.", func(s show.Style) *show.Rows {
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
	cmd.Flags().StringVar(&cluster, "cluster", "", "only those of this cluster, a `name` or an ARN")
	return cmd
}

// field is one of an object's, as a list with the shape of the API's.
func field(raw json.RawMessage, name string) any {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil || object[name] == nil {
		return map[string]any{"items": []any{}}
	}
	return map[string]any{"items": object[name]}
}

func newSimTasks(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "tasks", Aliases: []string{"task"}, Short: "Let tasks die, and see those that the simulator has"}
	var cluster, fargateCluster, family string
	var code int64
	list := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the simulated tasks",
		Args: names(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			raw, state, err := readState(ctx, c, cluster)
			if err != nil {
				return err
			}
			return a.list(field(raw, "tasks"), "There are no tasks.", func(s show.Style) *show.Rows {
				rows := &show.Rows{Columns: show.Columns("TASK~", "CLUSTER~", "TASK DEFINITION~", "STATUS", "DESIRED", "INSTANCE~", "STARTED BY~", "EXIT CODE", "WHY STOPPED~")}
				for _, t := range state.Tasks {
					rows.Add(s.ID(t.ARN), s.ID(t.ClusterARN), s.ID(t.TaskDefinitionARN), t.LastStatus, t.DesiredStatus, s.ID(t.InstanceARN), t.StartedBy,
						show.Count(t.ExitCode), t.StoppedReason)
				}
				return rows
			})
		}),
	}
	list.Flags().StringVar(&cluster, "cluster", "", "only those of this cluster, a `name` or an ARN")
	kill := &cobra.Command{
		Use: "kill TASK", Short: "Have the container of a task exit by itself",
		Example: "  blox sim tasks kill 5bb4f837205844218c118cdcf855655a --exit-code 139",
		Args:    names("TASK"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			return a.deed(ctx, c, http.MethodPost, "tasks/kill", url.Values{"task": {args[0]}, "exitCode": {number(code)}}, "Task "+args[0]+" has exited.")
		}),
	}
	kill.Flags().Int64Var(&code, "exit-code", 1, "the container's exit `code`, 0 to 255")
	fargate := &cobra.Command{
		Use: "fargate FAMILY", Short: "Start a task that has no container instance",
		Args: names("FAMILY"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			family = args[0]
			return a.deed(ctx, c, http.MethodPost, "tasks/fargate", url.Values{"cluster": {fargateCluster}, "family": {family}}, "A task of "+family+" is started.")
		}),
	}
	fargate.Flags().StringVar(&fargateCluster, "cluster", "default", "the cluster, a `name` or an ARN")
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
		Long: `Register the next revision of a task definition: with one container, or with --file, as the input of ECS's
RegisterTaskDefinition says.`,
		Example: `  blox sim task-definitions register agent --cpu 64 --memory 128
  blox sim task-definitions register --file taskdef.json`,
		Args: names("[FAMILY]"), ValidArgsFunction: noFiles,
	}
	cmd.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		if (file == "") == (len(args) == 0) {
			return &usageError{cmd, errors.New("give either FAMILY or --file")}
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
	cmd.Flags().Int64Var(&port, "host-port", 0, "a static host `port` of the container")
	cmd.Flags().StringVarP(&file, "file", "f", "", "`file` in JSON or YAML with the input of RegisterTaskDefinition; - for stdin")
	return cmd
}

func (a *app) printDefinition(arn string) error {
	return a.print(map[string]string{"taskDefinition": arn}, func(s show.Style) written {
		rows := &show.Rows{Columns: show.Columns("TASK DEFINITION")}
		rows.Add(s.ID(arn))
		return rows
	})
}

func newSimDefinitionsList(a *app) *cobra.Command {
	var family string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the ACTIVE task definitions",
		Args: names(), ValidArgsFunction: noFiles,
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
			return a.list(map[string]any{"items": all}, "There are no task definitions. \"blox sim task-definitions register\" makes one.", func(s show.Style) *show.Rows {
				rows := &show.Rows{Columns: show.Columns("TASK DEFINITION")}
				for _, arn := range all {
					rows.Add(s.ID(arn))
				}
				return rows
			})
		}),
	}
	cmd.Flags().StringVar(&family, "family", "", "only revisions of this `name`")
	return cmd
}

func newSimClusters(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "clusters", Aliases: []string{"cluster"}, Short: "Make clusters"}
	cmd.AddCommand(&cobra.Command{
		Use: "add NAME", Short: "Make a cluster", Args: names("NAME"), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
			return a.deed(ctx, c, http.MethodPost, "clusters", url.Values{"name": {args[0]}}, "There is a cluster "+args[0]+".")
		}),
	})
	return cmd
}

func newSimFaults(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "faults", Aliases: []string{"fault"}, Short: "Have things fail as they do at AWS",
		Long: `Have things fail as they do at AWS: throttled calls, lost answers, late and repeated events, starts that fail, tasks
that die. The fields are described in internal/ecssim/README.md; fractions are from 0 to 1.`,
		Example: `  blox sim faults set '{"throttle": {"ecs": 0.1}, "lostAnswers": {"StartTask": 0.05}}'
  blox sim faults set '{"startFailures": 0.2, "startFailureReason": "RESOURCE:MEMORY"}'
  blox sim faults clear`,
	}
	send := func(method string, body []byte) action {
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
		Use: "set [JSON]", Short: "Say what goes wrong; this replaces all that was said before", Args: names("[JSON]"), ValidArgsFunction: noFiles,
	}
	set.RunE = a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
		if (file == "") == (len(args) == 0) {
			return &usageError{set, errors.New("give either JSON or --file")}
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
		&cobra.Command{Use: "show", Short: "Show what goes wrong now", Args: names(), ValidArgsFunction: noFiles, RunE: a.run(send(http.MethodGet, nil))},
		&cobra.Command{Use: "clear", Short: "Let nothing go wrong any more", Args: names(), ValidArgsFunction: noFiles, RunE: a.run(send(http.MethodPut, []byte("{}")))},
	)
	return cmd
}

func newSimServices(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "services", Aliases: []string{"service"}, Short: "Have ECS, SQS or Kinesis answer 503"}
	for _, down := range []bool{true, false} {
		use, short, done := "up", "Have a service answer as usual again", " answers again."
		if down {
			use, short, done = "down", "Have a service answer 503 until it is set up again", " answers 503."
		}
		cmd.AddCommand(&cobra.Command{
			Use: use + " SERVICE", Short: short, Long: short + ". SERVICE is ecs, sqs or kinesis.", Args: names("SERVICE"), ValidArgsFunction: fixed("ecs", "sqs", "kinesis"),
			RunE: a.run(func(ctx context.Context, c *connect.Clients, args []string) error {
				return a.deed(ctx, c, http.MethodPost, "services", url.Values{"service": {args[0]}, "down": {strconv.FormatBool(down)}}, args[0]+done)
			}),
		})
	}
	return cmd
}

func newSimState(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "state", Short: "Tell how much there is in the simulator; all of it with -o json",
		Args: names(), ValidArgsFunction: noFiles,
		RunE: a.run(func(ctx context.Context, c *connect.Clients, _ []string) error {
			raw, state, err := readState(ctx, c, cluster)
			if err != nil {
				return err
			}
			return a.print(raw, func(s show.Style) written {
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
		Use: "counters", Short: "Show what was asked of the simulator, and what it has seen",
		Args: names(), ValidArgsFunction: noFiles,
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
	cmd.Flags().BoolVar(&reset, "reset", false, "start the counts anew")
	return cmd
}

// printRaw shows what has no table: as YAML to people.
func (a *app) printRaw(raw json.RawMessage) error {
	format := show.Format(a.format)
	if format == show.Table {
		format = show.YAML
	}
	return show.Encode(a.Out, format, raw)
}
