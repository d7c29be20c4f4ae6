package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var two = []Instance{{ARN: "i1", Zone: "a"}, {ARN: "i2", Zone: "b"}}

func on(instances ...string) (tasks []Task) {
	for n, instance := range instances {
		tasks = append(tasks, Task{fmt.Sprint("t", n+1), instance, true})
	}
	return tasks
}

func TestPlan_Rules(t *testing.T) {
	unschedulable := []Instance{{ARN: "i1", Zone: "a", Unschedulable: true}, {ARN: "i2", Zone: "b"}}
	draining := []Instance{{ARN: "i1", Zone: "a", Draining: true}, {ARN: "i2", Zone: "b"}}
	zoned := []Instance{{ARN: "i1", Zone: "a"}, {ARN: "i2", Zone: "a"}, {ARN: "i3", Zone: "b"}}
	pending := []Task{{"t1", "i1", true}, {"t2", "i1", true}, {"t3", "i2", false}}
	for name, tc := range map[string]struct {
		want        int
		instances   []Instance
		have        []Task
		start, stop []string
	}{
		"an empty cluster gets no task":                       {2, nil, nil, nil, nil},
		"every instance gets one":                             {2, two, nil, []string{"i1", "i2"}, nil},
		"zones fill evenly before instances":                  {2, zoned, nil, []string{"i1", "i3"}, nil},
		"instances get several tasks if needed":               {3, two, nil, []string{"i1", "i2", "i1"}, nil},
		"a balanced cluster needs nothing":                    {3, two, on("i1", "i2", "i1"), nil, nil},
		"a dead task is replaced":                             {2, two, on("i2"), []string{"i1"}, nil},
		"an unschedulable instance is skipped":                {2, unschedulable, nil, []string{"i2", "i2"}, nil},
		"two instances of one zone share its tasks":           {3, zoned, on("i3"), []string{"i1", "i2"}, nil},
		"a new instance gets a task":                          {2, two, on("i1", "i1"), []string{"i2"}, nil},
		"the old task stays while its replacement is pending": {2, two, pending, nil, nil},
		"the old task stops once its replacement runs":        {2, two, on("i1", "i1", "i2"), nil, []string{"t1"}},
		"draining starts the replacement first":               {1, draining, on("i1"), []string{"i2"}, nil},
		"draining then stops the old task":                    {1, draining, on("i1", "i2"), nil, []string{"t1"}},
		"draining waits for a schedulable instance":           {1, draining[:1], on("i1"), nil, nil},
		"a surplus task stops":                                {0, two, on("i1", "i2"), nil, []string{"t2"}},
		"a task on an unknown instance counts":                {1, two, on("i9"), nil, nil},
		"no move without a better balance":                    {3, two, on("i2", "i1", "i2"), nil, nil},
		"tasks balance within a zone":                         {3, zoned, on("i1", "i1", "i3"), []string{"i2"}, nil},
		"no move to an unschedulable instance":                {2, unschedulable, on("i2", "i2"), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			start, stop := Plan(tc.want, tc.instances, tc.have)
			assert.Equal(t, tc.start, start)
			assert.Equal(t, tc.stop, stop)
		})
	}
}

// From any state, executing plans leads to a state with an empty plan: the desired number, evenly spread. Once enough
// tasks run, there are never fewer.
func TestPlan_ConvergesToBalance(t *testing.T) {
	for seed := range uint64(2000) {
		chance := rand.New(rand.NewPCG(seed, 1))
		var instances []Instance
		for n := range 1 + chance.IntN(6) {
			instances = append(instances, Instance{
				ARN: fmt.Sprint("i", n), Zone: fmt.Sprint(chance.IntN(3)), Draining: n > 0 && chance.IntN(4) == 0,
			})
		}
		var have []Task
		for n := range chance.IntN(12) {
			have = append(have, Task{fmt.Sprint("t", n), instances[chance.IntN(len(instances))].ARN, true})
		}
		want, enough, made := chance.IntN(10), false, 0
		for steps := 0; ; steps++ {
			require.Less(t, steps, 100, "seed %d: no end", seed)
			enough = enough || len(have) >= want
			assert.False(t, enough && len(have) < want, "seed %d", seed)
			start, stop := Plan(want, instances, have)
			if len(start)+len(stop) == 0 {
				break
			}
			for _, instance := range start {
				made++
				have = append(have, Task{fmt.Sprint("new", made), instance, true})
			}
			have = slices.DeleteFunc(have, func(task Task) bool { return slices.Contains(stop, task.ARN) })
		}
		assert.Len(t, have, want, "seed %d", seed)
		zones, each := map[string]int{}, map[string]int{}
		for _, i := range instances {
			if !i.Draining {
				zones[i.Zone] += 0
			}
		}
		for _, task := range have {
			each[task.Instance]++
		}
		for _, i := range instances {
			if i.Draining {
				assert.Zero(t, each[i.ARN], "seed %d: left behind", seed)
				continue
			}
			zones[i.Zone] += each[i.ARN]
			for _, other := range instances {
				if !other.Draining && other.Zone == i.Zone {
					assert.LessOrEqual(t, each[i.ARN]-each[other.ARN], 1, "seed %d: instances", seed)
				}
			}
		}
		for _, a := range zones {
			for _, b := range zones {
				assert.LessOrEqual(t, a-b, 1, "seed %d: zones", seed)
			}
		}
	}
}
