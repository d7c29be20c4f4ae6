package robustness

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// action is one step of a scenario: a fault, a change of the clusters, or a user's request.
type action struct {
	At       time.Duration `json:"at"`                 // since the start of the scenario
	Kind     string        `json:"kind"`               // one of faultKinds, of instanceActions, or "user"
	Target   string        `json:"target,omitempty"`   // a process, a proxy (source>target), or a user's slot
	Duration time.Duration `json:"duration,omitempty"` // after which the action is undone
	Pick     float64       `json:"pick,omitempty"`     // 0 to 1: selects among the objects that exist then, or a strength
	Place    int           `json:"place,omitempty"`    // index in allPlaces, of the faults of AWS
}

// faultKinds are the values of --faults. Their order determines the scenario of a seed.
var faultKinds = []string{
	"kill", "pause", "disconnect", "blackhole", "delay", "quorum-loss", "compaction", "nospace",
	"event-faults", "api-faults", "outage", "slow-readers", "late-start", "clock-step", "suspend",
	"caller-errors", "messages", "recreated-cluster", "revoked-role", "region-outage",
	"long-failures",
}

// scheduledOnce are the faults that have a fixed place in a run.
var scheduledOnce = []string{"nospace", "slow-readers", "late-start", "region-outage", "long-failures"}

// The longest times by which each fault delays a StartTask. Their sum stays below startConfirmTimeout.
const (
	maxSchedulerPause = 5 * time.Second // longer than leaderLease, so that another replica may lead afterwards
	maxSimulatorPause = 2 * time.Second
	maxProxyDelay     = 400 * time.Millisecond // for each piece of a request
	maxListLag        = 500 * time.Millisecond // of ECS's lists
	maxAPILatency     = 400 * time.Millisecond // of ECS's calls
)

// Mean times between actions.
const (
	faultInterval    = 1800 * time.Millisecond
	loadInterval     = 15 * time.Second // of faults, with --events: between them, Blox catches up with the load
	instanceInterval = 900 * time.Millisecond
	userInterval     = 1200 * time.Millisecond
)

// instanceActions are changes of the clusters. Each name occurs as often as its weight.
var instanceActions = []string{
	"register", "register", "register", "deregister", "drain", "activate", "activate", "disconnect-agent",
	"kill-task", "kill-task", "run-fargate-task", "run-fargate-task", "flap-agent", "stop-task", "unhealthy-task",
	"cancel-drain",
}

// newScenario returns the actions of a run, with or without an event load. It depends on its arguments alone.
func newScenario(seed uint64, duration time.Duration, faults []string, load bool) []action {
	actions := faultActions(rand.New(rand.NewPCG(seed, 1)), duration, faults, load)
	generate := func(stream uint64, interval time.Duration, next func(*rand.Rand) action) {
		random := rand.New(rand.NewPCG(seed, stream))
		for at := gap(random, interval); at < duration; at += gap(random, interval) {
			a := next(random)
			a.At = at
			actions = append(actions, a)
		}
	}
	generate(2, instanceInterval, func(random *rand.Rand) action {
		a := action{Kind: instanceActions[random.IntN(len(instanceActions))], Pick: random.Float64()}
		switch a.Kind {
		case "disconnect-agent", "flap-agent", "cancel-drain":
			a.Duration = between(random, 500*time.Millisecond, 6*time.Second)
		}
		return a
	})
	generate(3, userInterval, func(random *rand.Rand) action {
		return action{Kind: "user", Target: fmt.Sprint(random.IntN(userSlots)), Pick: random.Float64()}
	})
	slices.SortStableFunc(actions, func(a, b action) int { return cmp.Compare(a.At, b.At) })
	return actions
}

// assignPlaces draws the account and region of each fault of AWS. The other actions stay as they are.
func assignPlaces(actions []action, seed uint64, places int) []action {
	random := rand.New(rand.NewPCG(seed, 4))
	for n, a := range actions {
		place := random.IntN(places)
		switch a.Kind {
		case "outage", "event-faults", "api-faults", "caller-errors", "messages":
			actions[n].Place = place
		}
	}
	return actions
}

// faultActions draws faults. Each seed has its own weights, so that some runs consist mostly of one kind.
func faultActions(
	random *rand.Rand, duration time.Duration, faults []string, load bool,
) (actions []action) {
	var kinds []string
	weights, total := map[string]float64{}, 0.0
	for _, kind := range faultKinds { // not in the order of --faults, which must not matter
		weight := random.ExpFloat64()
		if slices.Contains(faults, kind) && !slices.Contains(scheduledOnce, kind) {
			kinds = append(kinds, kind)
			weights[kind] = weight
			total += weight
		}
	}
	if slices.Contains(faults, "nospace") && duration >= 20*time.Second {
		a := action{Kind: "nospace", At: duration * 2 / 5, Duration: between(random, 2*time.Second, 6*time.Second)}
		actions = append(actions, a)
	}
	if len(kinds) == 0 {
		return actions
	}
	interval := faultInterval
	if load {
		interval = loadInterval
	}
	busy := map[string]time.Duration{}
	for at := gap(random, interval); at < duration; at += gap(random, interval) {
		draw, kind := random.Float64()*total, kinds[len(kinds)-1]
		for _, k := range kinds {
			if draw -= weights[k]; draw < 0 {
				kind = k
				break
			}
		}
		a := newFault(random, kind)
		if scheduler, found := strings.CutPrefix(a.Target, "ds-"); found && load && kind == "kill" {
			a.Target = "css-" + scheduler // the load concerns no environment
		}
		a.At, a.Duration = at, min(a.Duration, duration-at)
		if reserve(busy, a) {
			actions = append(actions, a)
		}
	}
	return actions
}

// newFault draws target and duration of a fault.
func newFault(random *rand.Rand, kind string) action {
	a := action{Kind: kind, Pick: random.Float64(), Duration: between(random, 300*time.Millisecond, 5*time.Second)}
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	proxies := []string{
		"css-0>etcd", "css-1>etcd", "ds-0>etcd", "ds-1>etcd", "css-0>sim", "css-1>sim", "ds-0>sim", "ds-1>sim",
		"ds-0>css-0", "ds-0>css-1", "ds-1>css-0", "ds-1>css-1", "client>css-0", "client>css-1", "client>ds-0",
		"client>ds-1", "peers>etcd-0", "peers>etcd-1", "peers>etcd-2",
	}
	switch kind {
	case "kill": // never the simulator, which holds the truth
		a.Target = pick("css-0", "css-1", "ds-0", "ds-1", "ds-0", "ds-1", "etcd-0", "etcd-1", "etcd-2")
	case "pause":
		a.Target = pick("css-0", "css-1", "ds-0", "ds-1", "sim", "etcd-0", "etcd-1", "etcd-2")
		switch a.Target {
		case "ds-0", "ds-1":
			a.Duration = min(a.Duration, maxSchedulerPause)
		case "sim":
			a.Duration = min(a.Duration, maxSimulatorPause)
		}
	case "suspend":
		a.Target = pick(serviceNames...)
		if slices.Contains(schedulerNames, a.Target) {
			a.Duration = min(a.Duration, maxSchedulerPause)
		}
	case "clock-step":
		a.Target = pick(serviceNames...)
		a.Duration *= 4
	case "disconnect":
		a.Target = pick(proxies...)
		if random.IntN(3) == 0 {
			a.Duration = 0 // open connections break, and new ones work at once
		}
	case "blackhole", "delay":
		a.Target = pick(proxies...)
		a.Duration *= 2
	case "outage":
		a.Target = pick("ecs", "sqs")
	case "compaction", "messages":
		a.Duration = 0
	case "event-faults", "api-faults", "caller-errors", "revoked-role", "recreated-cluster":
		a.Duration *= 3
	}
	return a
}

// reserve returns false if the action's target has another fault at that time. Of etcd's members, one at most has one.
func reserve(busy map[string]time.Duration, a action) bool {
	target := a.Kind
	switch {
	case a.Kind == "quorum-loss", strings.HasPrefix(a.Target, "etcd-"), strings.HasPrefix(a.Target, "peers>"):
		target = "etcd"
	case a.Target != "":
		target = a.Target
	}
	if busy[target] > a.At {
		return false
	}
	busy[target] = a.At + a.Duration + time.Second
	return true
}

// gap draws an exponentially distributed time.
func gap(random *rand.Rand, mean time.Duration) time.Duration {
	return time.Duration(random.ExpFloat64() * float64(mean)).Round(time.Millisecond)
}

// between draws a uniformly distributed time.
func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return (least + time.Duration(random.Float64()*float64(most-least))).Round(time.Millisecond)
}

// writeScenario writes one JSON object a line.
func writeScenario(to io.Writer, actions []action) error {
	encoder := json.NewEncoder(to)
	for _, a := range actions {
		if err := encoder.Encode(a); err != nil {
			return err
		}
	}
	return nil
}
