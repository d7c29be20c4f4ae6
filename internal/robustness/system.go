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
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/harness/testclock"
)

const (
	etcdMembers, replicas = 3, 2
	etcdQuota             = 128 << 20 // bytes of each member's database
	loadQuota             = 4 << 30   // with --events
	// startConfirmTimeout exceeds the time by which all faults together can delay a StartTask. Only the fault
	// late-start delays one for longer.
	startConfirmTimeout = 12 * time.Second
	leaderLease         = 3 * time.Second
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
	access    etcdAccess
	etcd      *clientv3.Client // connects to every member, without proxies; set by start
	places    []place          // accounts and regions, home first
	sim       *simulator
	operator  *operator // set by start
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
		places:    allPlaces[:cfg.regions],
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
	if s.access, err = newEtcdAccess(cfg, dir); err != nil {
		return nil, err
	}
	members, err := harness.NewEtcd(harness.EtcdConfig{
		ClientCert: s.access.cert, ClientKey: s.access.key,
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
	if err := (programs{s, cfg, dir}).addAll(); err != nil {
		return nil, err
	}
	s.sim = &simulator{client: s.http, url: "http://" + s.addresses["sim"], places: s.places, at: home}
	return s, nil
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
	var members []string
	for _, name := range etcdNames {
		members = append(members, s.addresses[name])
	}
	client, err := s.access.connect(ctx, members)
	if err != nil {
		return err
	}
	s.etcd = client
	if err := harness.Await(ctx, time.Minute, "the simulator", func() error { return s.sim.ping(ctx) }); err != nil {
		return err
	}
	operator, err := newOperator(ctx, s.addresses["sim"], s.places)
	if err != nil {
		return err
	}
	s.operator = operator
	return s.awaitReady(ctx)
}

// awaitReady returns when every service is ready.
func (s *system) awaitReady(ctx context.Context) error {
	return harness.Await(ctx, readyTimeout, "the services' readiness", func() error { return s.checkReady(ctx) })
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
