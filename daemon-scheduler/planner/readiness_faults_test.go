package planner

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// attributeSimulation is an ECS that loses calls, loses answers or applies calls late, and an executor that crashes.
type attributeSimulation struct {
	*rand.Rand
	s       ReadinessState
	records map[environment.AttributeKey]environment.ReadinessAttribute // etcd
	present map[environment.AttributeKey]bool                           // ECS
	pending []func()                                                    // calls under way
	due     []time.Time
}

// Whatever the faults, every attribute that is set, or may still be set, has a record. In the end, exactly the
// instances on which all daemons run have the attribute.
func TestPlanReadiness_ConvergesUnderFaults(t *testing.T) {
	for seed := range seeds(300) {
		w := &attributeSimulation{
			Rand:    rand.New(rand.NewPCG(seed, 2)),
			records: map[environment.AttributeKey]environment.ReadinessAttribute{},
			present: map[environment.AttributeKey]bool{},
		}
		w.s = ReadinessState{Cluster: "arn:cluster/prod", Fresh: true, Now: now, ConfirmTimeout: confirmTimeout}
		for range 100 {
			w.changeState()
			w.execute(true)
			for key := range w.present {
				require.Contains(t, w.records, key, "seed %d: an attribute without a record", seed)
			}
		}
		for range 10 {
			w.s.Now = w.s.Now.Add(environment.AttributeWindow + confirmTimeout)
			w.finishCalls(true)
			w.execute(false)
		}
		require.Empty(t, readinessTexts(PlanReadiness(w.s)), "seed %d: no end", seed)
		want := map[environment.AttributeKey]bool{}
		for _, i := range w.s.Instances {
			for _, attribute := range []string{"ready", "warm"} {
				key := environment.AttributeKey{Name: attribute, Instance: i.ARN}
				if w.allRunning(i.ARN, attribute) && (i.AgentConnected || w.present[key]) {
					want[key] = true
				}
			}
		}
		require.Equal(t, want, w.present, "seed %d", seed)
	}
}

// allRunning reports whether environments name the attribute, and the tasks of all of them run on the instance.
func (w *attributeSimulation) allRunning(instance, attribute string) bool {
	named := false
	for _, e := range w.s.Environments {
		if e.CurrentSpec().ReadinessAttribute != attribute {
			continue
		}
		named = true
		runs := func(t environment.Task) bool { return t.Instance == instance && t.StartedBy == e.Name }
		if !slices.ContainsFunc(w.s.Tasks, runs) {
			return false
		}
	}
	return named
}

// changeState changes the state at random and applies some pending calls.
func (w *attributeSimulation) changeState() {
	w.s.Now = w.s.Now.Add(time.Duration(w.IntN(20)) * time.Second)
	w.finishCalls(false)
	w.s.Fresh = w.IntN(8) > 0
	if w.IntN(3) > 0 {
		return
	}
	w.s.Instances, w.s.Environments, w.s.Tasks = nil, nil, nil
	for n := range 3 {
		w.s.Instances = append(
			w.s.Instances,
			environment.Instance{ARN: fmt.Sprint("i", n), Status: "ACTIVE", AgentConnected: w.IntN(6) > 0},
		)
	}
	for n := range 3 {
		name := fmt.Sprint("e", n)
		w.s.Environments = append(w.s.Environments, naming(name, []string{"", "ready", "ready", "ready", "warm"}[w.IntN(5)]))
		for _, i := range w.s.Instances {
			if w.IntN(5) > 0 {
				w.s.Tasks = append(
					w.s.Tasks,
					environment.Task{
						ARN:           name + i.ARN,
						Instance:      i.ARN,
						StartedBy:     name,
						LastStatus:    "RUNNING",
						DesiredStatus: "RUNNING",
					},
				)
			}
		}
	}
}

// finishCalls applies all pending calls, or some of them and those that are due.
func (w *attributeSimulation) finishCalls(all bool) {
	for n := 0; n < len(w.pending); {
		if all || w.IntN(4) == 0 || !w.s.Now.Before(w.due[n]) {
			w.pending[n]()
			w.pending, w.due = slices.Delete(w.pending, n, n+1), slices.Delete(w.due, n, n+1)
			continue
		}
		n++
	}
}

func (w *attributeSimulation) execute(faults bool) {
	w.s.Fresh = w.s.Fresh || !faults
	w.s.Attributes = slices.Collect(maps.Values(w.records))
	plan := PlanReadiness(w.s)
	for _, m := range plan.Remove {
		w.call(m, false, faults)
	}
	for _, m := range plan.Set {
		w.call(m, true, faults)
	}
	for _, m := range plan.Forget {
		delete(w.records, m.Key())
	}
	w.s.Attributes = slices.Collect(maps.Values(w.records))
}

func (w *attributeSimulation) call(before environment.ReadinessAttribute, set, faults bool) {
	key := before.Key()
	do := func() {
		if set {
			w.present[key] = true
		} else {
			delete(w.present, key)
		}
	}
	w.records[key] = AnnouncedAttribute(before, w.s.Now)
	outcome := 9
	if faults {
		outcome = w.IntN(10)
	}
	switch outcome {
	case 0: // it died before the call
		return
	case 1: // or after it
		do()
		return
	case 2: // the answer is lost, and the call is under way for long
		w.pending = append(w.pending, do)
		w.due = append(w.due, w.records[key].NotAfter.Add(confirmTimeout))
		return
	case 3: // throttled
		if w.records[key] = before; before.State == "" {
			delete(w.records, key)
		}
		return
	}
	do()
	after, gone := AnsweredAttribute(before, set, confirmTimeout, w.s.Now)
	if w.records[key] = after; gone {
		delete(w.records, key)
	}
}
