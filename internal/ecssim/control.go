package ecssim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// State is everything that the simulator holds, as GET /_sim/state shows it.
type State struct {
	Clusters  []string       `json:"clusters"` // ARNs of ACTIVE clusters
	Instances []Instance     `json:"instances"`
	Tasks     []Task         `json:"tasks"`
	Queues    map[string]int `json:"queues"`  // messages, including those in flight and delayed
	Streams   map[string]int `json:"streams"` // records
	Down      []string       `json:"down"`    // services that answer 503
}

// errNotFound is wrapped by errors about unknown resources.
var errNotFound = errors.New("not found")

// controlHandler performs a request of the control API.
type controlHandler = func(url.Values, *http.Request) (any, error)

// controlAPI returns the handler of the paths below /_sim/. README.md lists them.
func (s *Sim) controlAPI() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do controlHandler, parameters ...string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			query, err := parseQuery(r, parameters)
			var out any
			if err == nil {
				out, err = do(query, r)
			}
			switch {
			case errors.Is(err, errNotFound):
				writeJSON(w, http.StatusNotFound, map[string]string{"error": err.Error()})
			case err != nil:
				writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			default:
				writeJSON(w, http.StatusOK, out)
			}
		})
	}
	onInstance := func(do func(arn string) error) controlHandler {
		return func(q url.Values, _ *http.Request) (any, error) {
			return map[string]string{"instance": q.Get("instance")}, do(q.Get("instance"))
		}
	}
	handle("GET /_sim/ping", func(url.Values, *http.Request) (any, error) { return map[string]bool{"alive": true}, nil })
	handle("GET /_sim/state", s.getState, "cluster")
	handle("GET /_sim/counters", func(url.Values, *http.Request) (any, error) { return s.Counters(), nil })
	handle("DELETE /_sim/counters", func(url.Values, *http.Request) (any, error) {
		s.ResetCounters()
		return s.Counters(), nil
	})
	handle("GET /_sim/acknowledged", s.getAcknowledged, "after")
	handle("GET /_sim/changes", s.getChanges, "after")
	handle("GET /_sim/faults", func(url.Values, *http.Request) (any, error) { return s.Faults(), nil })
	handle("PUT /_sim/faults", s.putFaults)
	handle("POST /_sim/clusters", s.postCluster, "name")
	handle("POST /_sim/instances", s.postInstances, "cluster", "count", "external", "capacityProvider")
	handle("POST /_sim/instances/scale-in", onInstance(s.ScaleInInstance), "instance")
	handle("POST /_sim/instances/lose", onInstance(s.LoseInstance), "instance")
	handle("DELETE /_sim/instances", onInstance(s.RemoveInstance), "instance")
	handle("POST /_sim/instances/drain", onInstance(s.DrainInstance), "instance")
	handle("POST /_sim/instances/activate", onInstance(s.ActivateInstance), "instance")
	handle("POST /_sim/instances/agent", s.postAgent, "instance", "connected")
	handle("POST /_sim/instances/agents", s.postAgents, "cluster", "connected")
	handle("POST /_sim/task-definitions", s.postDefinition, "family", "cpu", "memory", "hostPort",
		"healthCheck")
	handle("POST /_sim/tasks/kill", s.postKill, "task", "exitCode")
	handle("POST /_sim/tasks/health", s.postHealth, "task", "status")
	handle("POST /_sim/tasks/fargate", s.postFargate, "cluster", "family")
	handle("POST /_sim/services", s.postService, "service", "down")
	s.controlOthers(handle)
	return mux
}

// controlOthers adds the paths for what is not a cluster, instance or task.
func (s *Sim) controlOthers(handle func(pattern string, do controlHandler, parameters ...string)) {
	handle("POST /_sim/capacity-providers", s.postProvider, "cluster", "name", "managed")
	handle("POST /_sim/instances/health", s.postInstanceHealth, "instance", "status")
	handle("POST /_sim/daemons", s.postDaemon, "cluster", "name", "taskDefinition")
	handle("GET /_sim/alarms", s.getAlarms)
	handle("POST /_sim/alarms", s.postAlarm, "name", "state", "type")
	handle("DELETE /_sim/alarms", s.deleteAlarm, "name")
	handle("GET /_sim/buses", s.getBus, "name")
	handle("POST /_sim/buses", s.postBus, "name")
	handle("POST /_sim/roles", s.postRole, "role", "externalId")
	handle("POST /_sim/daemon-services", s.postDaemonService, "cluster", "name", "taskDefinition")
	handle("POST /_sim/streams", s.postStream, "stream", "shards")
	handle("POST /_sim/streams/expire", func(q url.Values, _ *http.Request) (any, error) {
		return map[string]string{"stream": q.Get("stream")}, s.ExpireIterators(q.Get("stream"))
	}, "stream")
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(body)
}

// parseQuery parses the query. It rejects unknown and repeated parameters.
func parseQuery(r *http.Request, known []string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	for name, values := range query {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown parameter %.100q; known are %q", name, known)
		}
		if len(values) > 1 {
			return nil, fmt.Errorf("parameter %s is given %d times", name, len(values))
		}
	}
	return query, nil
}

// parseInt parses an integer from low to high. It returns fallback if the parameter is absent.
func parseInt(q url.Values, name string, fallback, low, high int) (int, error) {
	if !q.Has(name) {
		return fallback, nil
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%s is not a whole number from %d to %d", name, low, high)
	}
	return n, nil
}

// parseBool parses true or false. The parameter must not be absent.
func parseBool(q url.Values, name string) (bool, error) {
	b, err := strconv.ParseBool(q.Get(name))
	if err != nil {
		return false, fmt.Errorf("%s is not true or false", name)
	}
	return b, nil
}

func (s *Sim) getState(q url.Values, _ *http.Request) (any, error) {
	return s.state(q.Get("cluster")), nil
}

func (s *Sim) state(cluster string) State {
	state := State{
		Clusters: []string{}, Instances: s.Instances(cluster), Tasks: s.Tasks(cluster), Queues: map[string]int{},
		Streams: map[string]int{}, Down: []string{},
	}
	for _, name := range s.queues.names("") {
		if q, err := s.queues.find(name); err == nil {
			visible, inFlight, delayed := q.counts()
			state.Queues[name] = visible + inFlight + delayed
		}
	}
	for _, name := range s.streams.names() {
		if st, err := s.streams.find(name); err == nil {
			state.Streams[name] = st.records()
		}
	}
	s.lock()
	defer s.unlock()
	for _, c := range s.sortedClusters() {
		if c.active {
			state.Clusters = append(state.Clusters, c.arn)
		}
	}
	for _, service := range services {
		if s.down[service] {
			state.Down = append(state.Down, service)
		}
	}
	return state
}

func (s *Sim) putFaults(_ url.Values, r *http.Request) (any, error) {
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20))
	decoder.DisallowUnknownFields()
	var faults Faults
	if err := decoder.Decode(&faults); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if err := faults.validate(); err != nil {
		return nil, err
	}
	s.SetFaults(faults)
	return s.Faults(), nil
}

func (s *Sim) postCluster(q url.Values, _ *http.Request) (any, error) {
	arn := s.CreateCluster(q.Get("name"))
	if arn == "" {
		return nil, fmt.Errorf("name %.100q is not 1 to 255 letters, digits, hyphens and underscores", q.Get("name"))
	}
	return map[string]string{"cluster": arn}, nil
}

// maxNewInstances is the most instances that one request registers: as many as ECS allows in a cluster.
const maxNewInstances = 5000

func (s *Sim) postInstances(q url.Values, _ *http.Request) (any, error) {
	count, err := parseInt(q, "count", 1, 1, maxNewInstances)
	if err != nil {
		return nil, err
	}
	arns, err := s.registerControlled(q, count)
	if err != nil {
		return nil, err
	}
	return map[string][]string{"instances": arns}, nil
}

func (s *Sim) postAgent(q url.Values, _ *http.Request) (any, error) {
	connected, err := parseBool(q, "connected")
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"instance": q.Get("instance"), "connected": connected,
	}, s.SetAgentConnected(q.Get("instance"), connected)
}

func (s *Sim) postAgents(q url.Values, _ *http.Request) (any, error) {
	connected, err := parseBool(q, "connected")
	if err != nil {
		return nil, err
	}
	changed, err := s.SetAgentsConnected(q.Get("cluster"), connected)
	return map[string]any{"cluster": q.Get("cluster"), "connected": connected, "changed": changed}, err
}

func (s *Sim) postDefinition(q url.Values, _ *http.Request) (any, error) {
	cpu, cpuErr := parseInt(q, "cpu", 128, 0, 1<<20)
	memory, memoryErr := parseInt(q, "memory", 256, 4, 1<<24)
	port, portErr := parseInt(q, "hostPort", 0, 1, 65535)
	check, checkErr := q.Has("healthCheck"), error(nil)
	if check {
		check, checkErr = parseBool(q, "healthCheck")
	}
	for _, err := range []error{cpuErr, memoryErr, portErr, checkErr} {
		if err != nil {
			return nil, err
		}
	}
	opts := []DefinitionOption{WithCPU(cpu), WithMemory(memory)}
	if port > 0 {
		opts = append(opts, WithHostPort(port, "tcp"))
	}
	if check {
		opts = append(opts, WithHealthCheck())
	}
	arn := s.RegisterTaskDefinition(q.Get("family"), opts...)
	if arn == "" {
		return nil, fmt.Errorf("family %.100q is not 1 to 255 letters, digits, hyphens and underscores", q.Get("family"))
	}
	return map[string]string{"taskDefinition": arn}, nil
}

func (s *Sim) postKill(q url.Values, _ *http.Request) (any, error) {
	code, err := parseInt(q, "exitCode", 1, 0, 255)
	if err != nil {
		return nil, err
	}
	return map[string]any{"task": q.Get("task"), "exitCode": code}, s.KillTask(q.Get("task"), code)
}

func (s *Sim) postFargate(q url.Values, _ *http.Request) (any, error) {
	arn := s.StartFargateTask(q.Get("cluster"), q.Get("family"))
	if arn == "" {
		return nil, fmt.Errorf(
			"cluster %.100q or family %.100q is not one that ECS allows", q.Get("cluster"), q.Get("family"),
		)
	}
	return map[string]string{"task": arn}, nil
}

func (s *Sim) postDaemonService(q url.Values, _ *http.Request) (any, error) {
	arn := s.CreateDaemonService(q.Get("cluster"), q.Get("name"), q.Get("taskDefinition"))
	if arn == "" {
		return nil, fmt.Errorf("ECS rejects a DAEMON service with cluster %.100q, name %.100q and task definition %.100q",
			q.Get("cluster"), q.Get("name"), q.Get("taskDefinition"))
	}
	return map[string]string{"service": arn}, nil
}

func (s *Sim) postStream(q url.Values, _ *http.Request) (any, error) {
	shards, err := parseInt(q, "shards", 1, 1, MaxShards)
	if err != nil {
		return nil, err
	}
	return map[string]any{"stream": q.Get("stream"), "shards": shards}, s.SendEventsTo(q.Get("stream"), shards)
}

func (s *Sim) postService(q url.Values, _ *http.Request) (any, error) {
	service := q.Get("service")
	down, err := parseBool(q, "down")
	if err != nil || !slices.Contains(services, service) {
		return nil, errors.New("service is not " + servicesInWords + ", or down is not true or false")
	}
	s.SetDown(service, down)
	return map[string]any{"service": service, "down": down}, nil
}

func (s *Sim) postHealth(q url.Values, _ *http.Request) (any, error) {
	task, status := q.Get("task"), q.Get("status")
	return map[string]string{"task": task, "status": status}, s.SetHealth(task, status)
}
