package robustness

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/ecssim"
)

// doer carries a schedule out.
type doer struct {
	*world
	fleet *fleet
	users *users
	store *storeWatch

	mu     sync.Mutex
	faults ecssim.Faults // at present
}

// carryOut does every step at its time, and returns when all of them are undone.
func (d *doer) carryOut(ctx context.Context, steps []step) {
	began := time.Now()
	var open sync.WaitGroup
	defer open.Wait()
	for _, s := range steps {
		if !sleep(ctx, s.At-time.Since(began)) {
			return
		}
		open.Go(func() {
			d.report.note("step", map[string]any{"do": s.Do, "target": s.Target, "for": s.For.Seconds(), "pick": s.Pick})
			d.report.count("step: "+s.Do, 1)
			if err := d.do(ctx, s); err != nil {
				d.report.note("step failed", map[string]any{"do": s.Do, "target": s.Target, "error": err.Error()})
				d.report.count("steps that failed", 1)
			}
			d.report.note("undone", map[string]any{"do": s.Do, "target": s.Target})
		})
	}
}

func (d *doer) do(ctx context.Context, s step) error {
	wait := func() { sleep(ctx, s.For) }
	p, links := d.processes[s.Target], d.links[s.Target]
	each := func(what func(*link)) {
		for _, l := range links {
			what(l)
		}
	}
	switch s.Do {
	case "kill":
		p.Kill()
		wait()
		return p.Start()
	case "pause":
		p.Pause()
		wait()
		p.Resume()
	case "cut":
		each(func(l *link) { l.cut(true) })
		wait()
		each(func(l *link) { l.cut(false) })
	case "hold":
		each((*link).hold)
		wait()
		each(func(l *link) { l.cut(false) })
	case "delay":
		each(func(l *link) { l.slow(time.Duration(s.Pick * s.Pick * float64(slowest))) })
		wait()
		each(func(l *link) { l.slow(0) })
	case "quorum":
		return d.loseQuorum(s, wait)
	case "compact":
		return d.store.compact(ctx, s.Pick)
	case "nospace":
		return d.fill(ctx, wait)
	case "events", "calls":
		return d.misbehave(ctx, s, wait)
	case "outage":
		return d.outage(ctx, s.Target, wait)
	case "user":
		d.users.next(s)
	default:
		return d.fleet.happen(ctx, s)
	}
	return nil
}

// loseQuorum kills two members, or all three.
func (d *doer) loseQuorum(s step, wait func()) (failed error) {
	gone := []string{"etcd-0", "etcd-1", "etcd-2"}
	if n := int(s.Pick * 4); n < members { // that one goes on
		gone = append(gone[:n], gone[n+1:]...)
	}
	for _, name := range gone {
		d.processes[name].Kill()
	}
	wait()
	for _, name := range gone {
		if err := d.processes[name].Start(); err != nil {
			failed = err
		}
	}
	return failed
}

// misbehave has the simulator do to events, or to calls, what AWS does at times.
func (d *doer) misbehave(ctx context.Context, s step, wait func()) error {
	set := func(change func(*ecssim.Faults)) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		change(&d.faults)
		return d.sim.setFaults(ctx, d.faults)
	}
	x := s.Pick
	var err error
	if s.Do == "events" {
		err = set(func(f *ecssim.Faults) {
			f.Events = ecssim.EventFaults{Drop: 0.1 * x, Duplicate: 0.3 * x, Reorder: 0.3 * (1 - x), Delay: 0.3 * x, DelayBy: ecssim.Duration(3 * time.Second)}
		})
	} else {
		err = set(func(f *ecssim.Faults) {
			f.Throttle = map[string]float64{"ecs": 0.3 * x, "sqs": 0.1 * x}
			f.ServerErrors = map[string]float64{"ecs": 0.2 * (1 - x), "sqs": 0.1 * x}
			f.LateServerErrors = map[string]float64{"StartTask": 0.1 * x, "sqs": 0.05}
			f.LostAnswers = map[string]float64{"StartTask": 0.2 * (1 - x), "sqs": 0.05, "StopTask": 0.1}
			f.Latency = map[string]ecssim.Duration{"ecs": ecssim.Duration(x * float64(longestLatency))}
			f.ConsistencyLag = ecssim.Duration((1 - x) * float64(longestLag))
			f.StartFailures = 0.03 * x
		})
	}
	if err != nil {
		return err
	}
	wait()
	return set(func(f *ecssim.Faults) {
		if s.Do == "events" {
			f.Events = ecssim.EventFaults{}
		} else {
			*f = ecssim.Faults{Events: f.Events}
		}
	})
}

func (d *doer) outage(ctx context.Context, service string, wait func()) error {
	down := func(is string) error {
		return d.sim.post(ctx, "services", url.Values{"service": {service}, "down": {is}})
	}
	if err := down("true"); err != nil {
		return err
	}
	wait()
	return down("false")
}

// fill has etcd's database reach its quota, with keys that are not Blox's, and later makes room again as etcd's manual says.
func (d *doer) fill(ctx context.Context, wait func()) error {
	junk, full := strings.Repeat("x", 1<<20), 0
	for n := 0; n < 4*quota>>20 && full < 2 && ctx.Err() == nil; n++ {
		short, cancel := context.WithTimeout(ctx, callTimeout)
		_, err := d.etcd.Put(short, fmt.Sprintf("junk/%04d", n), junk)
		cancel()
		if err != nil && strings.Contains(err.Error(), "space exceeded") {
			full++
		}
	}
	if full > 0 {
		d.report.count("etcd was full", 1)
	}
	wait()
	return d.makeRoom(ctx)
}

// makeRoom removes what fill has written, and ends the alarm; it tries until it has.
func (d *doer) makeRoom(ctx context.Context) error {
	return d.await(ctx, time.Minute, "etcd to have room", func() error {
		ctx, cancel := context.WithTimeout(ctx, 2*callTimeout)
		defer cancel()
		if _, err := d.etcd.Delete(ctx, "junk/", clientv3.WithPrefix()); err != nil {
			return err
		}
		if err := d.store.compact(ctx, 1); err != nil {
			return err
		}
		for _, endpoint := range d.etcd.Endpoints() {
			if _, err := d.etcd.Defragment(ctx, endpoint); err != nil {
				return err
			}
		}
		_, err := d.etcd.AlarmDisarm(ctx, &clientv3.AlarmMember{})
		return err
	})
}

// wellAgain undoes whatever is still wrong.
func (d *doer) wellAgain(ctx context.Context) error {
	if err := d.heal(); err != nil {
		return err
	}
	return d.await(ctx, time.Minute, "the simulator to be well", func() error {
		for _, service := range []string{"ecs", "sqs"} {
			if err := d.sim.post(ctx, "services", url.Values{"service": {service}, "down": {"false"}}); err != nil {
				return err
			}
		}
		return d.sim.ask(ctx, http.MethodPut, "faults", nil, ecssim.Faults{}, nil)
	})
}
