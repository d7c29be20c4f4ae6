package robustness

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/harness"
)

// executor executes a scenario.
type executor struct {
	*system
	instances *instances
	users     *userClient
	watch     *etcdWatch

	usual ecssim.EventFaults // of events, while no action injects others

	mu     sync.Mutex
	faults ecssim.Faults // present faults of the simulator
}

// loadFaults happen to events all the time with --events.
var loadFaults = ecssim.EventFaults{
	Drop: 0.005, Duplicate: 0.05, Reorder: 0.05, Delay: 0.02, DelayBy: ecssim.Duration(3 * time.Second),
}

// execute executes every action at its time and returns when all of them are undone.
func (e *executor) execute(ctx context.Context, actions []action) {
	if err := e.setFaults(ctx, e.clearEventFaults); err != nil {
		e.history.count("failed actions", 1)
	}
	began := time.Now()
	var running sync.WaitGroup
	defer running.Wait()
	for _, a := range actions {
		if !backoff.Sleep(ctx, a.At-time.Since(began)) {
			return
		}
		running.Go(func() {
			e.history.event("action", map[string]any{
				"action": a.Kind, "target": a.Target, "duration": a.Duration.Seconds(), "pick": a.Pick,
			})
			e.history.count("action: "+a.Kind, 1)
			if err := e.apply(ctx, a); err != nil {
				e.history.event("action failed", map[string]any{"action": a.Kind, "target": a.Target, "error": err.Error()})
				e.history.count("failed actions", 1)
			}
			e.history.event("action undone", map[string]any{"action": a.Kind, "target": a.Target})
		})
	}
}

// apply executes an action and undoes it after its duration.
func (e *executor) apply(ctx context.Context, a action) error {
	wait := func() { backoff.Sleep(ctx, a.Duration) }
	p, proxies := e.processes[a.Target], e.proxies[a.Target]
	each := func(fn func(*harness.Proxy)) {
		for _, p := range proxies {
			fn(p)
		}
	}
	switch a.Kind {
	case "kill":
		p.Kill()
		wait()
		return p.Start()
	case "pause":
		p.Pause()
		wait()
		p.Resume()
	case "suspend":
		return e.clocks[a.Target].Suspend(p, wait)
	case "clock-step":
		return e.stepClock(ctx, a)
	case "disconnect":
		each(func(p *harness.Proxy) { p.SetDisconnected(true) })
		wait()
		each(func(p *harness.Proxy) { p.SetDisconnected(false) })
	case "blackhole":
		each((*harness.Proxy).Hold)
		wait()
		each(func(p *harness.Proxy) { p.SetDisconnected(false) })
	case "delay":
		each(func(p *harness.Proxy) { p.SetDelay(time.Duration(a.Pick * a.Pick * float64(maxProxyDelay))) })
		wait()
		each(func(p *harness.Proxy) { p.SetDelay(0) })
	case "quorum-loss":
		return e.loseQuorum(a, wait)
	case "compaction":
		return e.watch.compact(ctx, a.Pick)
	case "nospace":
		return e.fillEtcd(ctx, wait)
	case "event-faults", "api-faults", "caller-errors":
		return e.injectSimulatorFaults(ctx, a, wait)
	case "messages":
		return e.operator.sendMessages(ctx, a.Pick)
	case "outage":
		if err := e.sim.setDown(ctx, a.Target, true); err != nil {
			return err
		}
		wait()
		return e.sim.setDown(ctx, a.Target, false)
	case "user":
		e.users.enqueue(a)
	default:
		return e.instances.apply(ctx, a)
	}
	return nil
}

// loseQuorum kills two of etcd's members, or all three.
func (e *executor) loseQuorum(a action, wait func()) (failed error) {
	killed := slices.Clone(etcdNames)
	if survivor := int(a.Pick * 4); survivor < etcdMembers {
		killed = slices.Delete(killed, survivor, survivor+1)
	}
	for _, name := range killed {
		e.processes[name].Kill()
	}
	wait()
	for _, name := range killed {
		if err := e.processes[name].Start(); err != nil {
			failed = err
		}
	}
	return failed
}

// injectSimulatorFaults makes the simulator treat events, or API calls, as AWS does at times.
func (e *executor) injectSimulatorFaults(ctx context.Context, a action, wait func()) error {
	inject, reset := setEventFaults, e.clearEventFaults
	switch a.Kind {
	case "api-faults":
		inject, reset = setAPIFaults, clearAPIFaults
	case "caller-errors":
		inject, reset = setCallerErrors, clearCallerErrors
	}
	if err := e.setFaults(ctx, func(f *ecssim.Faults) { inject(f, a.Pick) }); err != nil {
		return err
	}
	wait()
	return e.setFaults(ctx, reset)
}

func (e *executor) setFaults(ctx context.Context, change func(*ecssim.Faults)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.faults)
	return e.sim.setFaults(ctx, e.faults)
}

func setEventFaults(f *ecssim.Faults, x float64) {
	f.Events = ecssim.EventFaults{
		Drop: 0.1 * x, Duplicate: 0.3 * x, Reorder: 0.3 * (1 - x),
		Delay: 0.3 * x, DelayBy: ecssim.Duration(3 * time.Second),
	}
}

func (e *executor) clearEventFaults(f *ecssim.Faults) { f.Events = e.usual }

func setAPIFaults(f *ecssim.Faults, x float64) {
	f.Throttle = map[string]float64{"ecs": 0.3 * x, "sqs": 0.1 * x}
	f.ServerErrors = map[string]float64{"ecs": 0.2 * (1 - x), "sqs": 0.1 * x}
	f.LateServerErrors = map[string]float64{"StartTask": 0.1 * x, "sqs": 0.05}
	f.LostResponses = map[string]float64{"StartTask": 0.2 * (1 - x), "sqs": 0.05, "StopTask": 0.1}
	f.Latency = map[string]ecssim.Duration{"ecs": ecssim.Duration(x * float64(maxAPILatency))}
	f.ConsistencyLag = ecssim.Duration((1 - x) * float64(maxListLag))
	f.StartFailures = 0.03 * x
}

func clearAPIFaults(f *ecssim.Faults) { *f = ecssim.Faults{Events: f.Events, Refusals: f.Refusals} }

// callerErrors are errors about credentials, permissions and clocks of the caller, not about the request.
var callerErrors = []string{
	"AccessDeniedException", "ExpiredTokenException", "InvalidSignatureException", "RequestTimeTooSkewed",
	"UnrecognizedClientException",
}

// setCallerErrors makes all calls of ECS or those of one action fail, or half of them.
func setCallerErrors(f *ecssim.Faults, x float64) {
	n := int(x * 1e6)
	action := []string{"ecs", "StartTask", "StopTask", "DescribeTasks", "sqs"}[n%5]
	fraction := []float64{1, 0.5}[n/5%2]
	f.Refusals = map[string]ecssim.Refusal{
		action: {Code: callerErrors[n/10%len(callerErrors)], Fraction: fraction},
	}
}

func clearCallerErrors(f *ecssim.Faults) { f.Refusals = nil }

// fillerPrefix begins the keys that use up etcd's quota. They are not Blox's.
const fillerPrefix = "filler/"

// fillEtcd writes until etcd's quota is used up, waits, and frees the space as etcd's documentation describes.
func (e *executor) fillEtcd(ctx context.Context, wait func()) error {
	const size, maxWrites = 1 << 20, 4 * etcdQuota >> 20
	value, refused := strings.Repeat("x", size), 0
	for n := 0; n < maxWrites && refused < 2 && ctx.Err() == nil; n++ {
		short, cancel := context.WithTimeout(ctx, requestTimeout)
		_, err := e.etcd.Put(short, fmt.Sprintf("%s%04d", fillerPrefix, n), value)
		cancel()
		if err != nil && strings.Contains(err.Error(), "space exceeded") {
			refused++
		}
	}
	if refused > 0 {
		e.history.count("etcd out of space", 1)
	}
	wait()
	return e.freeEtcd(ctx)
}

// freeEtcd deletes the filler, compacts, defragments and clears the alarm. It retries until all of that succeeds.
func (e *executor) freeEtcd(ctx context.Context) error {
	return harness.Await(ctx, time.Minute, "space in etcd", func() error {
		ctx, cancel := context.WithTimeout(ctx, 2*requestTimeout)
		defer cancel()
		if _, err := e.etcd.Delete(ctx, fillerPrefix, clientv3.WithPrefix()); err != nil {
			return err
		}
		if err := e.watch.compact(ctx, 1); err != nil {
			return err
		}
		for _, endpoint := range e.etcd.Endpoints() {
			if _, err := e.etcd.Defragment(ctx, endpoint); err != nil {
				return err
			}
		}
		_, err := e.etcd.AlarmDisarm(ctx, &clientv3.AlarmMember{})
		return err
	})
}

// clearFaults ends every fault that is still present.
func (e *executor) clearFaults(ctx context.Context) error {
	if err := e.restore(); err != nil {
		return err
	}
	return harness.Await(ctx, time.Minute, "the simulator", func() error {
		for _, service := range []string{"ecs", "sqs"} {
			if err := e.sim.setDown(ctx, service, false); err != nil {
				return err
			}
		}
		return e.sim.setFaults(ctx, ecssim.Faults{})
	})
}
