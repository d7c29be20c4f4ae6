package robustness

import (
	"context"
	"errors"
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
	simulated *simulatorFaults
}

// execute executes every action at its time and returns when all of them are undone.
func (e *executor) execute(ctx context.Context, actions []action) {
	for n := range e.places {
		if err := e.simulated.change(ctx, n, e.simulated.clearEventFaults); err != nil {
			e.history.count("failed actions", 1)
		}
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
		return e.simulated.inject(ctx, a, wait)
	case "revoked-role":
		return e.simulated.revokeRole(ctx, wait)
	case "recreated-cluster":
		return e.recreateCluster(ctx, a)
	case "messages":
		return e.operator.places[e.places[a.Place].String()].sendMessages(ctx, a.Pick)
	case "outage":
		sim := e.sim.in(e.places[a.Place])
		if err := sim.setDown(ctx, a.Target, true); err != nil {
			return err
		}
		wait()
		return sim.setDown(ctx, a.Target, false)
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

// Times of freeEtcd. Defragmenting blocks a member, and takes long while other programs use the machine.
const (
	freeTimeout        = 5 * time.Minute
	freeAttemptTimeout = 30 * time.Second
	alarmDelay         = 2 * time.Second
)

// freeEtcd deletes the filler, compacts, defragments and clears the alarm. It retries until all of that succeeds and no
// alarm follows: a member that received a write before it was defragmented raises the alarm again.
func (e *executor) freeEtcd(ctx context.Context) error {
	return harness.Await(ctx, freeTimeout, "space in etcd", func() error {
		ctx, cancel := context.WithTimeout(ctx, freeAttemptTimeout)
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
		if _, err := e.etcd.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
			return err
		}
		backoff.Sleep(ctx, alarmDelay)
		alarms, err := e.etcd.AlarmList(ctx)
		if err == nil && len(alarms.Alarms) > 0 {
			err = errors.New("the alarm was raised again")
		}
		return err
	})
}

// clearFaults ends every fault that is still present.
func (e *executor) clearFaults(ctx context.Context) error {
	if err := e.restore(); err != nil {
		return err
	}
	return harness.Await(ctx, time.Minute, "the simulator", func() error {
		for _, p := range e.places {
			sim := e.sim.in(p)
			err := errors.Join(sim.setDown(ctx, "ecs", false), sim.setDown(ctx, "sqs", false),
				sim.setFaults(ctx, ecssim.Faults{}))
			if err != nil {
				return err
			}
		}
		return nil
	})
}
