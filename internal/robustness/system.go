package robustness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/harness/testclock"
)

const (
	etcdMembers, replicas = 3, 2
	region                = "us-east-1"
	queueName             = "blox_queue"
	etcdQuota             = 128 << 20 // bytes of each member's database
	loadQuota             = 4 << 30   // with --events
	// startConfirmTimeout exceeds the time by which all faults together can delay a StartTask. Only the fault
	// late-start delays one for longer.
	startConfirmTimeout = 12 * time.Second
	leaderLease         = 3 * time.Second
	visibilityTimeout   = "5" // seconds; short, so that messages of a killed service soon become visible again
	readyTimeout        = 2 * time.Minute
	shutdownTimeout     = 20 * time.Second
)

var (
	serviceNames   = []string{"css-0", "css-1", "ds-0", "ds-1"}
	schedulerNames = []string{"ds-0", "ds-1"}
	etcdNames      = []string{"etcd-0", "etcd-1", "etcd-2"}
)

// system is the system under test: every process, and the proxies between them.
type system struct {
	history   *history
	processes map[string]*harness.Process // etcd-0, …, css-0, css-1, ds-0, ds-1, sim
	proxies   map[string][]*harness.Proxy // by source>target; css-0>etcd has one for each member
	css, ds   []string                    // addresses for clients, by replica; these are proxies
	addresses map[string]string           // of the processes themselves, by name
	clocks    map[string]*testclock.Clock // of the services, with faults of clocks
	etcd      *clientv3.Client            // connects to every member, without proxies
	sim       *simulator
	http      *http.Client
}

// newSystem allocates addresses and proxies, and configures the processes. Their files are in dir. The caller closes
// it.
func newSystem(cfg config, dir string, h *history) (_ *system, err error) {
	s := &system{
		history:   h,
		processes: map[string]*harness.Process{},
		proxies:   map[string][]*harness.Proxy{},
		addresses: map[string]string{},
		clocks:    map[string]*testclock.Clock{},
		http:      &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}},
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	for _, name := range append(slices.Clone(serviceNames), "sim") {
		if s.addresses[name], err = harness.FreeAddress(); err != nil {
			return nil, err
		}
	}
	quota := int64(etcdQuota)
	if cfg.events > 0 {
		quota = loadQuota
	}
	members, err := harness.NewEtcd(harness.EtcdConfig{
		Dir: dir, Path: filepath.Join(cfg.bin, "blox-robustness"), OnExit: s.exited,
		Members: etcdMembers, Quota: quota, Program: cfg.etcd,
		PeerAddress: func(n int, peer string) (string, error) {
			return s.addProxy(fmt.Sprintf("peers>etcd-%d", n), peer)
		},
	})
	if err != nil {
		return nil, err
	}
	for n, member := range members.Members {
		s.addresses[member.Name()] = members.Endpoints[n]
		s.processes[member.Name()] = member
	}
	if err := s.addClocks(cfg, dir); err != nil {
		return nil, err
	}
	if err := s.addPrograms(cfg, dir); err != nil {
		return nil, err
	}
	s.sim = &simulator{s.http, "http://" + s.addresses["sim"]}
	s.etcd, err = etcd.New(etcd.Config{Endpoints: members.Endpoints}, nil)
	return s, err
}

// addPrograms configures the simulator and the services.
func (s *system) addPrograms(cfg config, dir string) error {
	add := func(name, program string, env []string, args ...string) {
		s.processes[name] = harness.NewProcess(harness.Config{
			Name: name, Path: filepath.Join(cfg.bin, program), Args: args, Env: env, Dir: dir, OnExit: s.exited,
		})
	}
	// Without a load, clusters are small and reconciled often. With one, tasks that stopped remain comparable, and many
	// messages are in flight, because on a busy machine each commit takes long.
	simulator, css := []string{}, []string{"--reconcile-interval", "7s"}
	if cfg.events > 0 {
		simulator = []string{"--stopped-task-retention", "24h"}
		css = []string{"--reconcile-interval", "30s", "--reconcile-rate", "20", "--pollers", "64"}
	}
	add("sim", "ecs-sim", nil, append(simulator, "--bind", s.addresses["sim"],
		"--seed", strconv.FormatUint(cfg.seed, 10), "--pending-delay", "100ms", "--stop-delay", "100ms",
		"--acknowledged", "20000")...)
	for n := range replicas {
		name := fmt.Sprintf("css-%d", n)
		env, args, err := s.serviceConfig(name)
		if err != nil {
			return err
		}
		add(name, s.serviceProgram("cluster-state-service"), env,
			slices.Concat(args, []string{"--queue", queueName, "--etcd-history", "30s"}, css)...)
		address, err := s.addProxy("client>"+name, s.addresses[name])
		if err != nil {
			return err
		}
		s.css = append(s.css, address)
	}
	for n := range replicas {
		name := fmt.Sprintf("ds-%d", n)
		env, args, err := s.serviceConfig(name)
		if err != nil {
			return err
		}
		for target := range replicas {
			css := fmt.Sprintf("css-%d", target)
			address, err := s.addProxy(name+">"+css, s.addresses[css])
			if err != nil {
				return err
			}
			args = append(args, "--css-endpoint", address)
		}
		add(name, s.serviceProgram("daemon-scheduler"), env, append(args,
			"--start-confirm-timeout", startConfirmTimeout.String(), "--leader-lease", leaderLease.String(),
			"--change-rate", "40", "--read-rate", "20", "--lookup-rate", "200")...)
		address, err := s.addProxy("client>"+name, s.addresses[name])
		if err != nil {
			return err
		}
		s.ds = append(s.ds, address)
	}
	return nil
}

// serviceConfig returns the variables and flags that both services need. The service reaches AWS and each etcd member
// through proxies of its own.
func (s *system) serviceConfig(name string) (env, args []string, err error) {
	aws, err := s.addProxy(name+">sim", s.addresses["sim"])
	if err != nil {
		return nil, nil, err
	}
	for variable, value := range awsVariables(aws) {
		env = append(env, variable+"="+value)
	}
	env = append(env, "CSS_LOG_LEVEL=info", "DS_LOG_LEVEL=info")
	if clock := s.clocks[name]; clock != nil {
		env = append(env, clock.Env())
	}
	args = []string{"--bind", s.addresses[name]}
	for _, member := range etcdNames {
		endpoint, err := s.addProxy(name+">etcd", s.addresses[member])
		if err != nil {
			return nil, nil, err
		}
		args = append(args, "--etcd-endpoint", endpoint)
	}
	return env, args, nil
}

func awsVariables(address string) map[string]string {
	return map[string]string{
		"AWS_REGION": region, "AWS_ENDPOINT_URL": "http://" + address,
		"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
	}
}

// addProxy adds a proxy to the target address and returns the proxy's address.
func (s *system) addProxy(name, target string) (string, error) {
	p, err := harness.NewProxy(target)
	if err != nil {
		return "", fmt.Errorf("proxy %s: %w", name, err)
	}
	s.proxies[name] = append(s.proxies[name], p)
	return p.Address(), nil
}

// exited records that a process ended although no fault killed it.
func (s *system) exited(name, state string) {
	s.history.violation("processes keep running", "%s exited: %s", name, state)
}

// start starts every process and returns when the services are ready.
func (s *system) start(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(s.processes)) {
		if err := s.processes[name].Start(); err != nil {
			return err
		}
	}
	if err := harness.Await(ctx, time.Minute, "the simulator", func() error { return s.sim.ping(ctx) }); err != nil {
		return err
	}
	if err := s.setVisibilityTimeout(ctx); err != nil {
		return err
	}
	return s.awaitReady(ctx)
}

// awaitReady returns when every service is ready.
func (s *system) awaitReady(ctx context.Context) error {
	return harness.Await(ctx, readyTimeout, "the services' readiness", func() error { return s.checkReady(ctx) })
}

func (s *system) setVisibilityTimeout(ctx context.Context) error {
	variables := awsVariables(s.addresses["sim"])
	aws, err := awsconfig.Load(ctx, func(name string) string { return variables[name] })
	if err != nil {
		return err
	}
	client, name := awsconfig.SQS(aws), queueName
	queue, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return err
	}
	_, err = client.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
		QueueUrl:   queue.QueueUrl,
		Attributes: map[string]string{"VisibilityTimeout": visibilityTimeout},
	})
	return err
}

// checkReady returns nil if every service is ready.
func (s *system) checkReady(ctx context.Context) (problems error) {
	for _, name := range serviceNames {
		r, err := s.get(ctx, s.addresses[name], "/v1/ready")
		if err == nil && r.status != http.StatusOK {
			err = fmt.Errorf("%d: %s", r.status, r.body)
		}
		if err != nil {
			problems = errors.Join(problems, fmt.Errorf("%s: %w", name, err))
		}
	}
	return problems
}

// leader returns the name of the leading daemon-scheduler, "" if none is known.
func (s *system) leader(ctx context.Context) string {
	for _, replica := range schedulerNames {
		r, err := s.get(ctx, s.addresses[replica], "/v1/ready")
		var ready struct{ Leader string }
		if err != nil || json.Unmarshal(r.body, &ready) != nil {
			continue
		}
		for _, name := range schedulerNames {
			if _, port, _ := net.SplitHostPort(s.addresses[name]); strings.Contains(ready.Leader, ":"+port+"-") {
				return name
			}
		}
	}
	return ""
}

// restore ends the faults of processes and proxies: every process runs, and every proxy forwards without delay.
func (s *system) restore() (failed error) {
	for _, proxies := range s.proxies {
		for _, p := range proxies {
			p.SetDelay(0)
			p.SetDisconnected(false)
		}
	}
	for _, c := range s.clocks {
		failed = errors.Join(failed, c.Reset())
	}
	for _, p := range s.processes {
		p.Resume()
		failed = errors.Join(failed, p.Start())
	}
	return failed
}

// close kills every process and closes every proxy.
func (s *system) close() {
	for _, p := range s.processes {
		p.Kill()
	}
	for _, c := range s.clocks {
		_ = c.Close()
	}
	for _, proxies := range s.proxies {
		for _, p := range proxies {
			p.Close()
		}
	}
	if s.etcd != nil {
		_ = s.etcd.Close()
	}
	s.http.CloseIdleConnections()
}

// stopServices sends SIGTERM to each service and checks that it exits with 0.
func (s *system) stopServices() {
	for _, name := range serviceNames {
		if code := s.processes[name].Stop(syscall.SIGTERM, shutdownTimeout); code != 0 {
			s.history.violation("services shut down cleanly", "%s: exit code %d after SIGTERM (-1: a signal)", name, code)
		}
	}
}

// checkLogs checks that no process logged a panic or a data race.
func (s *system) checkLogs() {
	for name, p := range s.processes {
		text, err := os.ReadFile(p.LogPath())
		if err != nil {
			continue
		}
		for _, pattern := range []string{"DATA RACE", "panic:", "fatal error:"} {
			if strings.Contains(string(text), pattern) {
				s.history.violation("no process panics", "%s logged %q", name, pattern)
			}
		}
	}
}
