package ecssim

import (
	"maps"
	"time"
)

// Counters are what the simulator has counted since its start or the last ResetCounters.
type Counters struct {
	// Calls counts by action and outcome: "ok", the error's code, "lost" for an answer that was lost.
	Calls map[string]map[string]int `json:"calls"`
	// PeakByStartedBy and PeakByFamily are the most live tasks ever seen at once on one instance, by the tasks'
	// startedBy (tasks without one are not counted) and by their task definition's family.
	PeakByStartedBy map[string]int `json:"peakByStartedBy"`
	PeakByFamily    map[string]int `json:"peakByFamily"`
	// FewestRunning is, by family, on how few instances one of its tasks ran and was to go on running, at the worst moment;
	// MostDoubled on how many at once it had two live tasks or more. Both begin with what is so at ResetCounters.
	FewestRunning map[string]int `json:"fewestRunning"`
	MostDoubled   map[string]int `json:"mostDoubled"`
	// StartsOnDraining and StartsOnDisconnected count the instances asked to start a task while they were DRAINING, or
	// while their agent was disconnected.
	StartsOnDraining     int `json:"startsOnDraining"`
	StartsOnDisconnected int `json:"startsOnDisconnected"`
	// Violations are the moments when an instance had a second live task, or one more, of one startedBy; the first 1,000.
	Violations []Violation   `json:"violations"`
	Events     EventCounters `json:"events"`
}

// Violation tells of one task too many on an instance.
type Violation struct {
	At          time.Time `json:"at"`
	InstanceARN string    `json:"instanceArn"`
	StartedBy   string    `json:"startedBy"`
	Live        int       `json:"live"`    // tasks with that startedBy, the new one included
	TaskARN     string    `json:"taskArn"` // the new one
}

const maxViolations = 1000

type counters struct {
	calls                      map[string]map[string]int
	peakBy                     map[live]int
	fewest, mostDoubled        map[string]int
	onDraining, onDisconnected int
	violations                 []Violation
	events                     EventCounters
}

func newCounters() counters {
	return counters{
		calls: map[string]map[string]int{}, peakBy: map[live]int{}, violations: []Violation{},
		fewest: map[string]int{}, mostDoubled: map[string]int{},
	}
}

// Counters returns a copy of what was counted.
func (s *Sim) Counters() Counters {
	s.lock()
	defer s.unlock()
	c := Counters{
		Calls: map[string]map[string]int{}, PeakByStartedBy: map[string]int{}, PeakByFamily: map[string]int{},
		StartsOnDraining: s.counters.onDraining, StartsOnDisconnected: s.counters.onDisconnected,
		Violations: append([]Violation{}, s.counters.violations...), Events: s.counters.events,
		FewestRunning: maps.Clone(s.counters.fewest), MostDoubled: maps.Clone(s.counters.mostDoubled),
	}
	for action, outcomes := range s.counters.calls {
		c.Calls[action] = maps.Clone(outcomes)
	}
	for of, peak := range s.counters.peakBy {
		if of.startedBy != "" {
			c.PeakByStartedBy[of.startedBy] = peak
		} else {
			c.PeakByFamily[of.family] = peak
		}
	}
	return c
}

// ResetCounters starts all counts anew. Peaks begin with the next task that starts.
func (s *Sim) ResetCounters() {
	s.lock()
	defer s.unlock()
	s.counters = newCounters()
	s.counters.fewest, s.counters.mostDoubled = maps.Clone(s.running), maps.Clone(s.doubled)
}

// Calls returns how often an action, "StartTask", was called, whatever came of it.
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

// countLive keeps account of an instance's live tasks when t has come (+1) or gone (-1).
func (s *Sim) countLive(t *task, change int) {
	i := t.instance
	for _, of := range []live{{startedBy: t.startedBy}, {family: t.definition.family}} {
		if of == (live{}) {
			continue
		}
		i.live[of] += change
		n := i.live[of]
		if n <= 0 {
			delete(i.live, of)
		}
		s.counters.peakBy[of] = max(s.counters.peakBy[of], n)
		if of.family != "" && n == (3+change)/2 { // 2 when it has come, 1 when it has gone
			s.doubled[of.family] += change
			s.counters.mostDoubled[of.family] = max(s.counters.mostDoubled[of.family], s.doubled[of.family])
		}
		if change > 0 && n > 1 && of.startedBy != "" && len(s.counters.violations) < maxViolations {
			s.counters.violations = append(s.counters.violations, Violation{now(), i.arn, of.startedBy, n, t.arn})
		}
	}
}

// countRunning keeps account of the instances on which a task of t's family runs and is to go on running, when t has changed.
func (s *Sim) countRunning(t *task) {
	runs := t.instance != nil && t.lastStatus == statusRunning && t.desiredStatus == statusRunning
	if runs == t.counted {
		return
	}
	t.counted = runs
	family := t.definition.family
	before := t.instance.up[family]
	if runs {
		t.instance.up[family]++
	} else {
		t.instance.up[family]--
	}
	s.running[family] += min(t.instance.up[family], 1) - min(before, 1)
	if least, begun := s.counters.fewest[family]; !begun {
		s.counters.fewest[family] = 0 // before its first task ran
	} else {
		s.counters.fewest[family] = min(least, s.running[family])
	}
}
