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
)

const (
	members, replicas = 3, 2
	queueName         = "blox_queue"
	quota             = 128 << 20 // bytes of etcd's database
	// A StartTask that is on its way for longer than the settle time is the one case that the design leaves open. The longest
	// that the schedule delays one is longestPause of daemon-scheduler and of the simulator, and slowest on the link between.
	launchSettle = 10 * time.Second
	lease        = 3 * time.Second
)

// world is all that runs: every process, and the links between them.
type world struct {
	report    *report
	processes map[string]*harness.Process // etcd-0, …, css-0, css-1, ds-0, ds-1, sim
	links     map[string][]*link          // by who>whom: css-0>etcd has one for each member
	css, ds   []string                    // addresses for clients, which are links
	direct    map[string]string           // addresses of the services themselves
	etcd      *clientv3.Client            // of every member, past all links
	sim       *simulator
	http      *http.Client
}

// newWorld lays out the processes in dir; start runs them. The caller ends it with close.
func newWorld(cfg config, dir string, r *report) (_ *world, err error) {
	w := &world{report: r, processes: map[string]*harness.Process{}, links: map[string][]*link{}, direct: map[string]string{},
		http: &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}}}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	exited := func(name, state string) { r.violated("processes live on", "%s has ended by itself: %s", name, state) }
	add := func(name, program string, env []string, args ...string) {
		w.processes[name] = harness.NewProcess(harness.Config{Name: name, Path: filepath.Join(cfg.bin, program), Args: args, Env: env, Dir: dir, OnExit: exited})
	}
	way := func(name, to string) string {
		l, failed := newLink(to)
		if failed != nil {
			err = errors.Join(err, failed)
			return ""
		}
		w.links[name] = append(w.links[name], l)
		return l.address()
	}
	for _, name := range append(w.services(), "sim") {
		if w.direct[name], err = harness.FreeAddress(); err != nil {
			return nil, err
		}
	}

	members, err := harness.NewEtcd(harness.EtcdConfig{
		Dir: dir, Members: members, Quota: quota, Path: filepath.Join(cfg.bin, "blox-robustness"), OnExit: exited,
		PeerAddress: func(n int, peer string) (string, error) { return way(fmt.Sprintf("peers>etcd-%d", n), peer), err },
	})
	if err != nil {
		return nil, err
	}
	endpoints := members.Endpoints
	for n, member := range members.Members {
		w.direct[member.Name()] = endpoints[n]
		w.processes[member.Name()] = member
	}
	add("sim", "ecs-sim", nil, "--bind", w.direct["sim"], "--seed", strconv.FormatUint(cfg.seed, 10), "--pending-delay", "100ms", "--stop-delay", "100ms",
		"--acknowledged", "20000")
	environment := func(name string) []string {
		return []string{"AWS_REGION=us-east-1", "AWS_ENDPOINT_URL=http://" + way(name+">sim", w.direct["sim"]),
			"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", "CSS_LOG_LEVEL=info", "DS_LOG_LEVEL=info"}
	}
	ofEtcd := func(name string) (flags []string) {
		for _, endpoint := range endpoints {
			flags = append(flags, "--etcd-endpoint", way(name+">etcd", endpoint))
		}
		return flags
	}
	for n := range replicas {
		name := fmt.Sprintf("css-%d", n)
		add(name, "cluster-state-service", environment(name), append(ofEtcd(name), "--bind", w.direct[name], "--queue", queueName,
			"--reconcile-interval", "7s", "--etcd-history", "30s")...)
		w.css = append(w.css, way("client>"+name, w.direct[name]))
	}
	for n := range replicas {
		name := fmt.Sprintf("ds-%d", n)
		args := append(ofEtcd(name), "--bind", w.direct[name], "--launch-settle", launchSettle.String(), "--leader-lease", lease.String(),
			"--change-rate", "40", "--read-rate", "20", "--lookup-rate", "200")
		for to := range replicas {
			args = append(args, "--css-endpoint", way(fmt.Sprintf("%s>css-%d", name, to), w.direct[fmt.Sprintf("css-%d", to)]))
		}
		add(name, "daemon-scheduler", environment(name), args...)
		w.ds = append(w.ds, way("client>"+name, w.direct[name]))
	}
	if err != nil {
		return nil, err
	}
	w.sim = &simulator{w.http, "http://" + w.direct["sim"]}
	w.etcd, err = etcd.New(etcd.Config{Endpoints: endpoints}, nil)
	return w, err
}

func (w *world) services() []string { return []string{"css-0", "css-1", "ds-0", "ds-1"} }

// start runs everything and returns when the services are ready.
func (w *world) start(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(w.processes)) {
		if err := w.processes[name].Start(); err != nil {
			return err
		}
	}
	if err := w.await(ctx, time.Minute, "the simulator to serve", func() error { return w.sim.ask(ctx, http.MethodGet, "ping", nil, nil, nil) }); err != nil {
		return err
	}
	if err := w.shortVisibility(ctx); err != nil {
		return err
	}
	return w.await(ctx, 2*time.Minute, "the services to be ready", func() error { return w.ready(ctx) })
}

// shortVisibility has messages come again soon that a killed service had in hand.
func (w *world) shortVisibility(ctx context.Context) error {
	aws, err := awsconfig.Load(ctx, func(name string) string {
		return map[string]string{"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://" + w.direct["sim"], "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}[name]
	})
	if err != nil {
		return err
	}
	client, name := awsconfig.SQS(aws), queueName
	queue, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return err
	}
	_, err = client.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: queue.QueueUrl, Attributes: map[string]string{"VisibilityTimeout": "5"}})
	return err
}

// ready is nil when every service says that it is.
func (w *world) ready(ctx context.Context) (wrong error) {
	for _, name := range w.services() {
		status, body, err := w.get(ctx, w.direct[name], "/v1/ready")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d: %s", status, body)
		}
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("%s: %w", name, err))
		}
	}
	return wrong
}

// leader is the daemon-scheduler that leads, by its name; "" when none is known to.
func (w *world) leader(ctx context.Context) string {
	for _, asked := range []string{"ds-0", "ds-1"} {
		_, body, err := w.get(ctx, w.direct[asked], "/v1/ready")
		var ready struct{ Leader string }
		if err != nil || json.Unmarshal(body, &ready) != nil {
			continue
		}
		for _, name := range []string{"ds-0", "ds-1"} {
			if _, port, _ := net.SplitHostPort(w.direct[name]); strings.Contains(ready.Leader, ":"+port+"-") {
				return name
			}
		}
	}
	return ""
}

// await asks until all is well, every half second; what is wrong after that long is its error.
func (w *world) await(ctx context.Context, within time.Duration, what string, wrong func() error) error {
	for deadline := time.Now().Add(within); ; {
		err := wrong()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %s for %s: %w", within, what, err)
		}
		if !sleep(ctx, 500*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// heal ends every fault: all processes run, all links lead somewhere.
func (w *world) heal() error {
	var failed error
	for _, links := range w.links {
		for _, l := range links {
			l.slow(0)
			l.cut(false)
		}
	}
	for _, p := range w.processes {
		p.Resume()
		failed = errors.Join(failed, p.Start())
	}
	return failed
}

// close ends all processes; the services are asked to end, and have to.
func (w *world) close() {
	for _, p := range w.processes {
		p.Kill()
	}
	for _, links := range w.links {
		for _, l := range links {
			l.close()
		}
	}
	if w.etcd != nil {
		_ = w.etcd.Close()
	}
	w.http.CloseIdleConnections()
}

// stopServices asks the services to end, as a system that is shut down does; how they end is checked.
func (w *world) stopServices() {
	for _, name := range w.services() {
		p := w.processes[name]
		if code := p.Stop(syscall.SIGTERM, 20*time.Second); code != 0 {
			w.report.violated("processes end when asked", "%s: exit code %d after SIGTERM (-1: a signal)", name, code)
		}
	}
}

// sleep is false when ctx has ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// logs looks through what the processes have said for what must not be there.
func (w *world) logs() {
	for name, p := range w.processes {
		text, err := os.ReadFile(p.LogPath())
		if err != nil {
			continue
		}
		for _, bad := range []string{"DATA RACE", "panic:", "fatal error:"} {
			if strings.Contains(string(text), bad) {
				w.report.violated("logs", "%s has logged %q", name, bad)
			}
		}
	}
}
