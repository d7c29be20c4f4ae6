package ecssim

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"time"
)

// Faults are what goes wrong. The zero value is a faultless AWS. All fractions are from 0 to 1.
//
// The maps by action have the services' action names as keys, "StartTask", or a service, "ecs", "sqs" or "kinesis", for
// all its actions that are not named.
type Faults struct {
	// Throttle is the fraction of calls refused with ThrottlingException (RequestThrottled by SQS,
	// ProvisionedThroughputExceededException by Kinesis).
	Throttle map[string]float64 `json:"throttle,omitempty"`
	// ServerErrors is the fraction of calls answered 500 without having been done, LateServerErrors after having been done.
	ServerErrors     map[string]float64 `json:"serverErrors,omitempty"`
	LateServerErrors map[string]float64 `json:"lateServerErrors,omitempty"`
	// LostAnswers is the fraction of calls that are done, and whose connection is then closed without an answer.
	LostAnswers map[string]float64 `json:"lostAnswers,omitempty"`
	// Latency passes before a call is looked at. It is done also when the client has given up meanwhile, as at AWS.
	Latency map[string]Duration `json:"latency,omitempty"`
	Events  EventFaults         `json:"events"`
	// StartFailures is the fraction of a StartTask's instances that yield a failure, StartFailureReason its reason;
	// RESOURCE:MEMORY when empty.
	StartFailures      float64 `json:"startFailures,omitempty"`
	StartFailureReason string  `json:"startFailureReason,omitempty"`
	// FailToRun is, by task definition family, the fraction of tasks that become STOPPED (TaskFailedToStart) instead of RUNNING.
	FailToRun map[string]float64 `json:"failToRun,omitempty"`
	// Deaths says, by task definition family, which tasks end by themselves after they were RUNNING.
	Deaths map[string]Death `json:"deaths,omitempty"`
	// ConsistencyLag is how long List calls do not see a new container instance or task, and DescribeTasks calls it MISSING,
	// and how long ListTasks shows a task that was stopped among the running ones.
	ConsistencyLag Duration `json:"consistencyLag,omitempty"`
}

// EventFaults are the fractions of events that are lost, sent twice, sent after a later one, or sent late by DelayBy.
type EventFaults struct {
	Drop      float64  `json:"drop,omitempty"`
	Duplicate float64  `json:"duplicate,omitempty"`
	Reorder   float64  `json:"reorder,omitempty"`
	Delay     float64  `json:"delay,omitempty"`
	DelayBy   Duration `json:"delayBy,omitempty"`
}

// Death lets a fraction of the tasks end with an exit code, some time after they were RUNNING.
type Death struct {
	Fraction float64  `json:"fraction"`
	After    Duration `json:"after,omitempty"`
	ExitCode int      `json:"exitCode,omitempty"`
}

// Duration is a time.Duration that JSON shows as "1m30s".
type Duration time.Duration

// MarshalText gives time.Duration's form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads time.ParseDuration's form, 0 or more.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err == nil && parsed < 0 {
		err = fmt.Errorf("negative duration %s", text)
	}
	*d = Duration(parsed)
	return err
}

// SetFaults changes what goes wrong from now on, all of it.
func (s *Sim) SetFaults(f Faults) {
	s.lock()
	defer s.unlock()
	s.faults = f.clone()
}

// Faults returns what goes wrong at present.
func (s *Sim) Faults() Faults {
	s.lock()
	defer s.unlock()
	return s.faults.clone()
}

func (f Faults) clone() Faults {
	for _, m := range []*map[string]float64{&f.Throttle, &f.ServerErrors, &f.LateServerErrors, &f.LostAnswers, &f.FailToRun} {
		*m = maps.Clone(*m)
	}
	f.Latency = maps.Clone(f.Latency)
	f.Deaths = maps.Clone(f.Deaths)
	return f
}

// check tells what is wrong with faults that came over the wire.
func (f Faults) check() error {
	fractions := map[string]float64{
		"startFailures": f.StartFailures, "events.drop": f.Events.Drop, "events.duplicate": f.Events.Duplicate,
		"events.reorder": f.Events.Reorder, "events.delay": f.Events.Delay,
	}
	for name, m := range map[string]map[string]float64{
		"throttle": f.Throttle, "serverErrors": f.ServerErrors, "lateServerErrors": f.LateServerErrors, "lostAnswers": f.LostAnswers,
	} {
		for action, fraction := range m {
			fractions[name+"."+action] = fraction
			if !knownAction(action) {
				return fmt.Errorf("%s: %.100q is no action, and not ecs, sqs or kinesis", name, action)
			}
		}
	}
	for action := range f.Latency {
		if !knownAction(action) {
			return fmt.Errorf("latency: %.100q is no action, and not ecs, sqs or kinesis", action)
		}
	}
	for family, fraction := range f.FailToRun {
		fractions["failToRun."+family] = fraction
	}
	for family, death := range f.Deaths {
		fractions["deaths."+family] = death.Fraction
	}
	for name, fraction := range fractions {
		if fraction < 0 || fraction > 1 {
			return fmt.Errorf("%.100s: %v is not a fraction from 0 to 1", name, fraction)
		}
	}
	return nil
}

func forAction[V any](m map[string]V, service, action string) V {
	if v, ok := m[action]; ok {
		return v
	}
	return m[service]
}

// dice are one random sequence for each kind of fault and each thing it can hit, so that the draws for one do not depend
// on how often others were made.
type dice struct {
	seed uint64
	by   map[string]*rand.Rand
}

func newDice(seed uint64) dice { return dice{seed, map[string]*rand.Rand{}} }

// roll is true for the given fraction of its calls with this kind and name.
func (d dice) roll(kind, name string, fraction float64) bool {
	if fraction <= 0 {
		return false
	}
	key := kind + "\x00" + name
	r := d.by[key]
	if r == nil {
		h := fnv.New64a()
		h.Write([]byte(key))
		r = rand.New(rand.NewPCG(d.seed, h.Sum64()))
		d.by[key] = r
	}
	return r.Float64() < fraction
}
