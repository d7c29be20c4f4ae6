package robustness

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// step is one thing that is done to the world, or that happens in it.
type step struct {
	At     time.Duration `json:"at"`               // since the beginning
	Do     string        `json:"do"`               // a kind of fault, or what happens
	Target string        `json:"target,omitempty"` // a process, or a link's who>whom
	For    time.Duration `json:"for,omitempty"`    // after which it is undone
	Pick   float64       `json:"pick,omitempty"`   // 0 to 1: which of those that there are then, or how much
}

// faultKinds are what --faults selects among.
var faultKinds = []string{"kill", "pause", "cut", "hold", "delay", "quorum", "compact", "nospace", "events", "calls", "outage", "stall", "late"}

// The longest that a StartTask may be delayed by each of the faults; together they stay below launchSettle, and the lists of
// ECS may lag.
const (
	longestPause    = 3 * time.Second        // of daemon-scheduler
	longestPauseSim = 2 * time.Second        // of the simulator
	slowest         = 400 * time.Millisecond // of a link, for a piece of a request
	longestLag      = 500 * time.Millisecond // of ECS's lists
	longestLatency  = 400 * time.Millisecond // of ECS's calls
)

var fleetSteps = []string{"join", "join", "join", "leave", "drain", "activate", "activate", "disconnect", "die", "die", "fargate", "fargate"}

// schedule is what is done in a run: of the same seed, duration and kinds, it is the same.
func schedule(seed uint64, duration time.Duration, faults []string) []step {
	steps := faultSteps(rand.New(rand.NewPCG(seed, 1)), duration, faults)
	lane := func(n uint64, every time.Duration, what func(*rand.Rand) step) {
		chance := rand.New(rand.NewPCG(seed, n))
		for at := gap(chance, every); at < duration; at += gap(chance, every) {
			s := what(chance)
			s.At = at
			steps = append(steps, s)
		}
	}
	lane(2, 900*time.Millisecond, func(chance *rand.Rand) step {
		s := step{Do: fleetSteps[chance.IntN(len(fleetSteps))], Pick: chance.Float64()}
		if s.Do == "disconnect" {
			s.For = between(chance, 500*time.Millisecond, 6*time.Second)
		}
		return s
	})
	lane(3, 1200*time.Millisecond, func(chance *rand.Rand) step {
		return step{Do: "user", Target: fmt.Sprint(chance.IntN(slots)), Pick: chance.Float64()}
	})
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.At, b.At) })
	return steps
}

// faultSteps draws faults. Each seed has weights of its own, so that some runs are mostly of one kind.
func faultSteps(chance *rand.Rand, duration time.Duration, faults []string) (steps []step) {
	var kinds []string
	weights, total := map[string]float64{}, 0.0
	for _, kind := range faultKinds { // in this order, whatever the order of the selection
		weight := chance.ExpFloat64()
		if kind != "nospace" && kind != "stall" && kind != "late" && slices.Contains(faults, kind) {
			kinds = append(kinds, kind)
			weights[kind] = weight
			total += weight
		}
	}
	busy := map[string]time.Duration{} // until when
	if slices.Contains(faults, "nospace") && duration >= 20*time.Second {
		s := step{Do: "nospace", At: duration * 2 / 5, For: between(chance, 2*time.Second, 6*time.Second)}
		steps = append(steps, s)
	}
	if len(kinds) == 0 {
		return steps
	}
	for at := gap(chance, 1800*time.Millisecond); at < duration; at += gap(chance, 1800*time.Millisecond) {
		draw, kind := chance.Float64()*total, kinds[len(kinds)-1]
		for _, k := range kinds {
			if draw -= weights[k]; draw < 0 {
				kind = k
				break
			}
		}
		s := fault(chance, kind)
		s.At, s.For = at, min(s.For, duration-at)
		if free(busy, s) {
			steps = append(steps, s)
		}
	}
	return steps
}

// fault draws what one of that kind is.
func fault(chance *rand.Rand, kind string) step {
	s := step{Do: kind, Pick: chance.Float64(), For: between(chance, 300*time.Millisecond, 5*time.Second)}
	pick := func(of ...string) string { return of[chance.IntN(len(of))] }
	links := []string{"css-0>etcd", "css-1>etcd", "ds-0>etcd", "ds-1>etcd", "css-0>sim", "css-1>sim", "ds-0>sim", "ds-1>sim",
		"ds-0>css-0", "ds-0>css-1", "ds-1>css-0", "ds-1>css-1", "client>css-0", "client>css-1", "client>ds-0", "client>ds-1",
		"peers>etcd-0", "peers>etcd-1", "peers>etcd-2"}
	switch kind {
	case "kill":
		s.Target = pick("css-0", "css-1", "ds-0", "ds-1", "ds-0", "ds-1", "etcd-0", "etcd-1", "etcd-2")
	case "pause":
		s.Target = pick("css-0", "css-1", "ds-0", "ds-1", "sim", "etcd-0", "etcd-1", "etcd-2")
		switch s.Target {
		case "ds-0", "ds-1":
			s.For = min(s.For, longestPause)
		case "sim":
			s.For = min(s.For, longestPauseSim)
		}
	case "cut":
		s.Target = pick(links...)
		if chance.IntN(3) == 0 {
			s.For = 0 // what is connected is broken, and that is all
		}
	case "hold":
		s.Target, s.For = pick(links...), s.For*2
	case "delay":
		s.Target, s.For = pick(links...), s.For*2
	case "outage":
		s.Target = pick("ecs", "sqs")
	case "compact":
		s.For = 0
	case "events", "calls":
		s.For *= 3
	}
	return s
}

// free tells whether the step's target is not in another fault, and makes it busy. Of etcd's members one at most is.
func free(busy map[string]time.Duration, s step) bool {
	target := s.Do
	switch {
	case s.Do == "quorum", len(s.Target) > 5 && s.Target[:5] == "etcd-", len(s.Target) > 6 && s.Target[:6] == "peers>":
		target = "etcd"
	case s.Target != "":
		target = s.Target
	}
	if busy[target] > s.At {
		return false
	}
	busy[target] = s.At + s.For + time.Second
	return true
}

func gap(chance *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(chance.ExpFloat64() * float64(mean)).Round(time.Millisecond)
}

func between(chance *rand.Rand, least, most time.Duration) time.Duration {
	return (least + time.Duration(chance.Float64()*float64(most-least))).Round(time.Millisecond)
}
