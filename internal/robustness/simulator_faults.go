package robustness

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/blox/blox/internal/ecssim"
)

// loadFaults happen to events all the time with --events.
var loadFaults = ecssim.EventFaults{
	Drop: 0.005, Duplicate: 0.05, Reorder: 0.05, Delay: 0.02, DelayBy: ecssim.Duration(3 * time.Second),
}

// simulatorFaults are the present faults of the simulator. Each place has its own. Actions may overlap.
type simulatorFaults struct {
	*system
	usual ecssim.EventFaults // of events, while no action injects others

	mu      sync.Mutex
	byPlace map[int]ecssim.Faults
	late    map[int]int // number of actions that delay events, by place
	revoked int         // number of actions that revoke the role
}

func newSimulatorFaults(s *system) *simulatorFaults {
	return &simulatorFaults{system: s, byPlace: map[int]ecssim.Faults{}, late: map[int]int{}}
}

// inject makes the simulator treat events, or API calls, as AWS does at times.
func (s *simulatorFaults) inject(ctx context.Context, a action, wait func()) error {
	set, reset := setEventFaults, s.clearEventFaults
	switch a.Kind {
	case "api-faults":
		set, reset = setAPIFaults, clearAPIFaults
	case "caller-errors":
		set, reset = setCallerErrors, clearCallerErrors
	}
	if err := s.change(ctx, a.Place, func(f *ecssim.Faults) { set(f, a.Pick) }); err != nil {
		return err
	}
	wait()
	return s.change(ctx, a.Place, reset)
}

// change changes the faults of a place, given by its index.
func (s *simulatorFaults) change(ctx context.Context, at int, change func(*ecssim.Faults)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.byPlace[at]
	change(&f)
	s.byPlace[at] = f
	return s.send(ctx, at)
}

// delayEvents delays most events of a place until the returned function is called.
func (s *simulatorFaults) delayEvents(ctx context.Context, at int) (undo func() error, err error) {
	add := func(n int) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.late[at] += n
		return s.send(ctx, at)
	}
	return func() error { return add(-1) }, add(1)
}

// revokeRole makes AWS refuse the role of the other account.
func (s *simulatorFaults) revokeRole(ctx context.Context, wait func()) error {
	if err := s.setRevoked(ctx, 1); err != nil {
		return err
	}
	wait()
	return s.setRevoked(ctx, -1)
}

func (s *simulatorFaults) setRevoked(ctx context.Context, n int) (failed error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked += n
	for at := range s.places {
		failed = errors.Join(failed, s.send(ctx, at))
	}
	return failed
}

// send sends the faults of a place to the simulator. The caller holds the lock.
func (s *simulatorFaults) send(ctx context.Context, at int) error {
	return s.sim.in(s.places[at]).setFaults(ctx, s.present(at))
}

// present returns the faults of a place. AWS also refuses the credentials that it has issued for a revoked role.
func (s *simulatorFaults) present(at int) ecssim.Faults {
	f := s.byPlace[at]
	if s.late[at] > 0 {
		f.Events.Delay, f.Events.DelayBy = lateFraction, ecssim.Duration(lateBy)
	}
	if s.revoked > 0 {
		f.Refusals = map[string]ecssim.Refusal{}
		for _, service := range []string{"ecs", "sqs", "kinesis", "sts"} {
			f.Refusals[service] = ecssim.Refusal{Code: "AccessDeniedException", Fraction: 1, Role: memberRole}
		}
	}
	return f
}

func setEventFaults(f *ecssim.Faults, x float64) {
	f.Events = ecssim.EventFaults{
		Drop: 0.1 * x, Duplicate: 0.3 * x, Reorder: 0.3 * (1 - x),
		Delay: 0.3 * x, DelayBy: ecssim.Duration(3 * time.Second),
	}
}

func (s *simulatorFaults) clearEventFaults(f *ecssim.Faults) { f.Events = s.usual }

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
