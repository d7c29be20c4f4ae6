package ecssim

import (
	"maps"
	"time"
)

// Counters counts calls, peaks and violations since the start or the last ResetCounters.
type Counters struct {
	// Calls counts by action and outcome: "succeeded", the error's code, or "unknown" for a lost response.
	Calls map[string]map[string]int `json:"calls"`
	// Limited counts, by action, the calls that a token bucket throttled: see Config.APILimits.
	Limited map[string]int `json:"limited"`
	// PeakByStartedBy and PeakByFamily are the most live tasks on one instance at once, by startedBy (tasks without one
	// are not counted) and by task definition family.
	PeakByStartedBy map[string]int `json:"peakByStartedBy"`
	PeakByFamily    map[string]int `json:"peakByFamily"`
	// FewestRunning is, by family, the fewest instances with a running task whose desired status is RUNNING.
	// MostDuplicated is the most instances with two or more live tasks at once. ResetCounters sets both to the present.
	FewestRunning  map[string]int `json:"fewestRunning"`
	MostDuplicated map[string]int `json:"mostDuplicated"`
	// StartsOnDraining and StartsOnDisconnected count starts on instances that were DRAINING or had no connected ECS
	// agent.
	StartsOnDraining     int `json:"startsOnDraining"`
	StartsOnDisconnected int `json:"startsOnDisconnected"`
	// StartsOnManaged counts starts on Managed Instances, where StartTask starts none.
	StartsOnManaged int `json:"startsOnManaged"`
	// Violations are the first 1,000 starts of a further live task with the same startedBy on one instance.
	Violations []Violation   `json:"violations"`
	Events     EventCounters `json:"events"`
}

// Violation is a duplicate live task on an instance.
type Violation struct {
	At          time.Time `json:"at"`
	InstanceARN string    `json:"instanceArn"`
	StartedBy   string    `json:"startedBy"`
	Live        int       `json:"live"`    // tasks with that startedBy, the new one included
	TaskARN     string    `json:"taskArn"` // the new one
}

const maxViolations = 1000

type counters struct {
	calls                         map[string]map[string]int
	limited                       map[string]int // by action
	peaks                         map[liveKey]int
	fewestRunning, mostDuplicated map[string]int
	onDraining, onDisconnected    int
	onManaged                     int
	violations                    []Violation
	events                        EventCounters
}

func newCounters() counters {
	return counters{
		calls: map[string]map[string]int{}, limited: map[string]int{}, peaks: map[liveKey]int{}, violations: []Violation{},
		fewestRunning: map[string]int{}, mostDuplicated: map[string]int{},
	}
}

// Counters returns a copy of the counters.
func (s *Sim) Counters() Counters {
	s.lock()
	defer s.unlock()
	c := Counters{
		Calls: map[string]map[string]int{}, PeakByStartedBy: map[string]int{}, PeakByFamily: map[string]int{},
		Limited:          maps.Clone(s.counters.limited),
		StartsOnDraining: s.counters.onDraining, StartsOnDisconnected: s.counters.onDisconnected,
		StartsOnManaged: s.counters.onManaged,
		Violations:      append([]Violation{}, s.counters.violations...), Events: s.counters.events,
		FewestRunning: maps.Clone(s.counters.fewestRunning), MostDuplicated: maps.Clone(s.counters.mostDuplicated),
	}
	for action, outcomes := range s.counters.calls {
		c.Calls[action] = maps.Clone(outcomes)
	}
	for of, peak := range s.counters.peaks {
		if of.startedBy != "" {
			c.PeakByStartedBy[of.startedBy] = peak
		} else {
			c.PeakByFamily[of.family] = peak
		}
	}
	return c
}

// ResetCounters resets all counters. Peaks restart with the next task that starts.
func (s *Sim) ResetCounters() {
	s.lock()
	defer s.unlock()
	s.counters = newCounters()
	s.counters.fewestRunning, s.counters.mostDuplicated = maps.Clone(s.runningInstances), maps.Clone(s.duplicated)
}

// Calls returns how often an action, "StartTask", was called, whatever the outcome.
func (s *Sim) Calls(action string) int {
	s.lock()
	defer s.unlock()
	n := 0
	for _, count := range s.counters.calls[action] {
		n += count
	}
	return n
}

func (s *Sim) countCall(action, outcome string) {
	s.lock()
	defer s.unlock()
	if s.counters.calls[action] == nil {
		s.counters.calls[action] = map[string]int{}
	}
	s.counters.calls[action][outcome]++
}

func (s *Sim) countLimited(action string) {
	s.lock()
	defer s.unlock()
	s.counters.limited[action]++
}

// countLive updates the live tasks of an instance when t starts (+1) or stops (-1).
func (s *Sim) countLive(t *task, change int) {
	i := t.instance
	for _, key := range []liveKey{{startedBy: t.startedBy}, {family: t.definition.family}} {
		if key == (liveKey{}) {
			continue
		}
		i.liveTasks[key] += change
		n := i.liveTasks[key]
		if n <= 0 {
			delete(i.liveTasks, key)
		}
		s.counters.peaks[key] = max(s.counters.peaks[key], n)
		if key.family != "" && n == (3+change)/2 { // two tasks after a start, one after a stop
			s.duplicated[key.family] += change
			s.counters.mostDuplicated[key.family] = max(s.counters.mostDuplicated[key.family], s.duplicated[key.family])
		}
		if change > 0 && n > 1 && key.startedBy != "" && len(s.counters.violations) < maxViolations {
			s.counters.violations = append(s.counters.violations, Violation{now(), i.arn, key.startedBy, n, t.arn})
		}
	}
}

// countRunning updates, after a change of t, the number of instances with a running task of t's family.
func (s *Sim) countRunning(t *task) {
	runs := t.instance != nil && t.lastStatus == statusRunning && t.desiredStatus == statusRunning
	if runs == t.countedAsRunning {
		return
	}
	t.countedAsRunning = runs
	family := t.definition.family
	before := t.instance.runningByFamily[family]
	if runs {
		t.instance.runningByFamily[family]++
	} else {
		t.instance.runningByFamily[family]--
	}
	s.runningInstances[family] += min(t.instance.runningByFamily[family], 1) - min(before, 1)
	if least, begun := s.counters.fewestRunning[family]; !begun {
		s.counters.fewestRunning[family] = 0 // before its first task ran
	} else {
		s.counters.fewestRunning[family] = min(least, s.runningInstances[family])
	}
}
