package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
)

// changeRate and changeBurst are how many StartTask calls daemon-scheduler makes unless its flags say otherwise, startBatch how
// many instances each is for.
const changeRate, changeBurst, startBatch = 20.0, 50.0, 10.0

// scheduler is a running daemon-scheduler with its cluster-state-service.
type scheduler struct {
	*service
	w   *world
	css *service
}

// scheduler starts both services and waits until they are ready.
func (w *world) scheduler(flags ...string) (*scheduler, error) {
	css, err := w.service()
	if err != nil {
		return nil, err
	}
	s := &scheduler{w: w, css: css}
	address, err := freeAddress()
	if err == nil {
		program, args := filepath.Join(w.cfg.bin, "daemon-scheduler"), append([]string{
			"--bind", address, "--etcd-endpoint", w.etcdAddress, "--css-endpoint", css.url}, flags...)
		if w.cfg.profiles != "" {
			if program, err = os.Executable(); err != nil {
				return nil, err
			}
			args = append([]string{"scheduler", w.cfg.profiles}, args...)
		}
		var p *process
		if p, _, err = w.start(false, program, args...); err == nil {
			s.service = &service{process: p, url: "http://" + address}
			err = s.ready(w.ctx, time.Minute)
		}
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *scheduler) close() {
	if s.service != nil {
		s.stop()
	}
	s.css.stop()
}

func (s *scheduler) call(method, path, body string, into any) error {
	return s.w.ask(method, s.url+path, body, into)
}

// deploy makes an environment of the agent and deploys it. It returns the deployment's path and when it was asked for.
func (s *scheduler) deploy(name, cluster string) (path, id string, asked time.Time, err error) {
	var made struct{ DeploymentToken, ID string }
	body := fmt.Sprintf(`{"name":%q,"instanceGroup":{"cluster":%q},"taskDefinition":"agent"}`, name, cluster)
	if err = s.call(http.MethodPost, "/v1/environments", body, &made); err != nil {
		return "", "", asked, err
	}
	path = "/v1/environments/" + name + "/deployments"
	asked = time.Now()
	err = s.call(http.MethodPost, path+"?deploymentToken="+made.DeploymentToken, "", &made)
	return path + "/" + made.ID, made.ID, asked, err
}

// completed waits until the deployment is.
func (s *scheduler) completed(path string) error {
	return s.until(5*time.Minute, func() (bool, error) {
		var d struct{ Status string }
		err := s.call(http.MethodGet, path, "", &d)
		return d.Status == "completed", err
	})
}

func (s *scheduler) until(most time.Duration, done func() (bool, error)) error {
	for began := time.Now(); time.Since(began) < most && s.w.ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if is, err := done(); is || err != nil {
			return err
		}
		select {
		case <-s.done:
			return fmt.Errorf("daemon-scheduler ended: %s", s.output)
		default:
		}
	}
	return fmt.Errorf("did not come about within %s: %s", most, s.output)
}

// seen waits until the cluster-state-service has so many instances.
func (s *scheduler) seen(instances int) error {
	return s.until(5*time.Minute, func() (bool, error) {
		answer, err := http.Get(s.css.url + "/v1/clusters")
		if err != nil {
			return false, err
		}
		defer answer.Body.Close()
		var listed struct {
			Items []struct{ Instances map[string]int }
		}
		err = json.NewDecoder(answer.Body).Decode(&listed)
		n := 0
		for _, c := range listed.Items {
			n += c.Instances["ACTIVE"]
		}
		return n == instances, err
	})
}

// started is the tasks of the simulator's cluster, all clusters when it is "".
func (w *world) started(cluster string) (tasks []startedTask, err error) {
	var state struct{ Tasks []startedTask }
	err = w.control(http.MethodGet, "state?cluster="+url.QueryEscape(cluster), "", &state)
	return state.Tasks, err
}

type startedTask struct {
	InstanceARN, StartedBy, LastStatus string
	CreatedAt                          time.Time
}

// ecsCalls is how often ECS was called by whoever makes changes or asks for tasks, as daemon-scheduler does.
func (w *world) ecsCalls() (n int, err error) {
	var counters struct{ Calls map[string]map[string]int }
	err = w.control(http.MethodGet, "counters", "", &counters)
	for _, action := range []string{"StartTask", "StopTask", "ListTasks", "DescribeTasks", "DescribeClusters", "DescribeTaskDefinition"} {
		for _, count := range counters.Calls[action] {
			n += count
		}
	}
	return n, err
}

func (w *world) addInstances(cluster string, count int) ([]string, error) {
	var added struct{ Instances []string }
	err := w.control(http.MethodPost, fmt.Sprintf("instances?cluster=%s&count=%d", cluster, count), "", &added)
	return added.Instances, err
}

// schedulerStart measures the time from an instance's registration to the StartTask for it, one instance after the other.
func schedulerStart(ctx context.Context, cfg config, t *table) error {
	w, err := newWorld(ctx, cfg)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.control(http.MethodPost, "task-definitions?family=agent", "", nil); err != nil {
		return err
	}
	s, err := w.scheduler("--change-rate", "1000")
	if err != nil {
		return err
	}
	defer s.close()
	path, _, _, err := s.deploy("logs", "default")
	if err != nil {
		return err
	}
	if err := s.completed(path); err != nil {
		return err
	}
	registered := map[string]time.Time{}
	for range 300 {
		at := time.Now()
		added, err := w.addInstances("default", 1)
		if err != nil || len(added) != 1 {
			return fmt.Errorf("add an instance: %w", errors.Join(err, ctx.Err()))
		}
		registered[added[0]] = at
		time.Sleep(100 * time.Millisecond) // each alone, as machines join
	}
	var tasks []startedTask
	if err := s.until(time.Minute, func() (bool, error) {
		tasks, err = w.started("default")
		return len(tasks) >= len(registered), err
	}); err != nil {
		return err
	}
	var waited []time.Duration
	for _, task := range tasks {
		waited = append(waited, task.CreatedAt.Add(time.Millisecond).Sub(registered[task.InstanceARN])) // the simulator cuts
	}
	p50, p99 := percentiles(waited)
	const what = "instance registered to StartTask received, 300 one after the other: "
	t.add(row{"scheduler-start", what + "p50", "ms", []pair{{p50, math.NaN()}}, nil})
	t.add(row{"scheduler-start", what + "p99", "ms", []pair{{p99, math.NaN()}}, []goal{below("< 100 ms", 100)}})
	return nil
}

// schedulerDeploy measures the time from a deployment's creation to the start of its last task, beside the least that the
// limit on StartTask calls allows.
func schedulerDeploy(ctx context.Context, cfg config, t *table, instances int) error {
	w, err := newWorld(ctx, cfg)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.control(http.MethodPost, "task-definitions?family=agent", "", nil); err != nil {
		return err
	}
	if _, err := w.addInstances("default", instances); err != nil {
		return err
	}
	s, err := w.scheduler()
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.seen(instances); err != nil {
		return err
	}
	path, id, asked, err := s.deploy("logs", "default")
	if err != nil {
		return err
	}
	if err := s.completed(path); err != nil {
		return err
	}
	tasks, err := w.started("default")
	if err != nil {
		return err
	}
	took, n := time.Duration(0), 0
	for _, task := range tasks {
		if task.StartedBy == id {
			took, n = max(took, task.CreatedAt.Sub(asked)), n+1
		}
	}
	if n != instances {
		return fmt.Errorf("%d tasks on %d instances", n, instances)
	}
	floor := (float64(instances)/startBatch - changeBurst) / changeRate
	if floor <= 0 {
		floor = math.NaN()
	}
	t.add(row{"scheduler-deploy", fmt.Sprintf("deployment on %d instances: created to all tasks started; the calls at %.0f/s", instances, changeRate),
		"s", []pair{{took.Seconds(), floor}}, nil})
	return nil
}

// schedulerRest measures what 1,000 environments over 100 clusters cost at rest, and when an instance joins each cluster.
func schedulerRest(ctx context.Context, cfg config, t *table) error {
	const clusters, each, rest = 100, 10, 20 * time.Second
	args := []string{"--instances", "10"}
	for n := range clusters {
		args = append(args, "--cluster", clusterName(n))
	}
	w, err := newWorld(ctx, cfg, args...)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.control(http.MethodPost, "task-definitions?family=agent&cpu=64&memory=64", "", nil); err != nil {
		return err
	}
	s, err := w.scheduler("--change-rate", "1000", "--lookup-rate", "1000")
	if err != nil {
		return err
	}
	defer s.close()
	var paths []string
	for n := range clusters * each {
		path, _, _, err := s.deploy(fmt.Sprintf("agent-%d", n), clusterName(n%clusters))
		if err != nil {
			return err
		}
		paths = append(paths, path)
	}
	for _, path := range paths {
		if err := s.completed(path); err != nil {
			return err
		}
	}
	time.Sleep(2 * time.Second) // for the last events
	calls, err := w.ecsCalls()
	if err != nil {
		return err
	}
	began, cpu := time.Now(), s.cpu()
	select {
	case <-time.After(rest):
	case <-ctx.Done():
		return ctx.Err()
	}
	load := (s.cpu() - cpu) / time.Since(began).Seconds() * 100
	after, err := w.ecsCalls()
	if err != nil {
		return err
	}
	memory, err := s.memory("VmRSS")
	if err != nil { // another system than Linux
		memory = math.NaN()
	}
	const what = "1,000 environments, 100 clusters, 1,000 instances, 10,000 tasks: "
	one := func(v float64) []pair { return []pair{{v, math.NaN()}} }
	t.add(row{"scheduler-rest", what + "CPU at rest", "%", one(load), nil})
	t.add(row{"scheduler-rest", what + "resident memory at rest", "MiB", one(memory / mib), nil})
	t.add(row{"scheduler-rest", what + "ECS calls a minute at rest", "calls", one(float64(after-calls) / rest.Minutes()), []goal{below("none", 0.1)}})

	began, cpu = time.Now(), s.cpu()
	for n := range clusters {
		if _, err := w.addInstances(clusterName(n), 1); err != nil {
			return err
		}
	}
	var last time.Time
	if err := s.until(5*time.Minute, func() (bool, error) {
		time.Sleep(500 * time.Millisecond)
		tasks, err := w.started("")
		for _, task := range tasks {
			if task.CreatedAt.After(last) {
				last = task.CreatedAt
			}
		}
		return len(tasks) >= clusters*each*11, err
	}); err != nil {
		return err
	}
	t.add(row{"scheduler-rest", what + "an instance joins each cluster: to the last of 1,000 StartTask", "s", one(last.Sub(began).Seconds()), nil})
	t.add(row{"scheduler-rest", what + "CPU time for it", "s", one(s.cpu() - cpu), nil})
	return nil
}

// cpu is the seconds of CPU time that the process has used; NaN on other systems than Linux.
func (p *process) cpu() float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		return math.NaN()
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest) // from the third on
	if len(fields) < 13 {
		return math.NaN()
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100 // ticks, which Linux has 100 of in a second
}

// plans measures the planner alone, on a cluster at rest and on one without tasks.
func plans(_ context.Context, cfg config, t *table) error {
	const instances, deployment = 10_000, "22222222-2222-4222-8222-222222222222"
	e := environment.New("logs", "cluster", "agent:1", "token")
	e.Deployments[deployment] = environment.Deployment{ID: deployment, Status: environment.Running, TaskDefinition: "agent:1"}
	empty := planner.State{Environment: e, Fresh: true, Now: time.Now()}
	full := empty
	full.Launches = map[string]environment.Launch{}
	for n := range instances {
		arn := "arn:aws:ecs:us-east-1:123456789012:container-instance/prod/" + id('b', n)
		task := "arn:aws:ecs:us-east-1:123456789012:task/prod/" + id('a', n)
		empty.Instances = append(empty.Instances, environment.Instance{ARN: arn, Status: "ACTIVE", AgentConnected: true})
		full.Tasks = append(full.Tasks, environment.Task{ARN: task, Instance: arn, StartedBy: deployment, LastStatus: "RUNNING", DesiredStatus: "RUNNING"})
		full.Launches[arn] = environment.Launch{Instance: arn, Deployment: deployment, State: environment.LaunchStarted, Task: task, Attempts: 1}
	}
	full.Instances = empty.Instances
	for _, of := range []struct {
		what    string
		state   planner.State
		actions int
	}{{"at rest", full, 0}, {"without tasks", empty, instances}} {
		var took []pair
		for range max(cfg.runs, 10) {
			began := time.Now()
			plan := planner.Make(of.state)
			took = append(took, pair{time.Since(began).Seconds() * 1000, math.NaN()})
			if len(plan.Actions) != of.actions {
				return fmt.Errorf("%d actions %s", len(plan.Actions), of.what)
			}
		}
		t.add(row{"planner", "a plan for 10,000 instances, " + of.what, "ms", took, nil})
	}
	return nil
}
