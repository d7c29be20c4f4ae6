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

func TestPlan(t *testing.T) {
	closed := []Instance{{ARN: "i1", Zone: "a", Closed: true}, {ARN: "i2", Zone: "b"}}
	leaving := []Instance{{ARN: "i1", Zone: "a", Leaving: true}, {ARN: "i2", Zone: "b"}}
	zoned := []Instance{{ARN: "i1", Zone: "a"}, {ARN: "i2", Zone: "a"}, {ARN: "i3", Zone: "b"}}
	pending := []Task{{"t1", "i1", true}, {"t2", "i1", true}, {"t3", "i2", false}}
	for name, tc := range map[string]struct {
		want        int
		instances   []Instance
		have        []Task
		start, stop []string
	}{
		"empty cluster":                    {2, nil, nil, nil, nil},
		"one each":                         {2, two, nil, []string{"i1", "i2"}, nil},
		"zones before instances":           {2, zoned, nil, []string{"i1", "i3"}, nil},
		"more than instances":              {3, two, nil, []string{"i1", "i2", "i1"}, nil},
		"all is well":                      {3, two, on("i1", "i2", "i1"), nil, nil},
		"one has died":                     {2, two, on("i2"), []string{"i1"}, nil},
		"refused there":                    {2, closed, nil, []string{"i2", "i2"}, nil},
		"two instances, one zone":          {3, zoned, on("i3"), []string{"i1", "i2"}, nil},
		"an instance came":                 {2, two, on("i1", "i1"), []string{"i2"}, nil},
		"and its task does not run yet":    {2, two, pending, nil, nil},
		"and it does":                      {2, two, on("i1", "i1", "i2"), nil, []string{"t1"}},
		"drains: first the new one":        {1, leaving, on("i1"), []string{"i2"}, nil},
		"drains: then the old one":         {1, leaving, on("i1", "i2"), nil, []string{"t1"}},
		"drains with nowhere to go":        {1, leaving[:1], on("i1"), nil, nil},
		"too many":                         {0, two, on("i1", "i2"), nil, []string{"t2"}},
		"on an instance not yet heard of":  {1, two, on("i9"), nil, nil},
		"moving would not make it evener":  {3, two, on("i2", "i1", "i2"), nil, nil},
		"within a zone":                    {3, zoned, on("i1", "i1", "i3"), []string{"i2"}, nil},
		"nowhere better, as it is refused": {2, closed, on("i2", "i2"), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			start, stop := Plan(tc.want, tc.instances, tc.have)
			assert.Equal(t, tc.start, start)
			assert.Equal(t, tc.stop, stop)
		})
	}
}

// Whatever there is, doing what Plan says leads to a state in which it says nothing: the right number, evenly spread, and on
// the way there are never fewer running than wanted once there were enough.
func TestPlanEndsSpread(t *testing.T) {
	for seed := range uint64(2000) {
		chance := rand.New(rand.NewPCG(seed, 1))
		var instances []Instance
		for n := range 1 + chance.IntN(6) {
			instances = append(instances, Instance{ARN: fmt.Sprint("i", n), Zone: fmt.Sprint(chance.IntN(3)), Leaving: n > 0 && chance.IntN(4) == 0})
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
			if !i.Leaving {
				zones[i.Zone] += 0
			}
		}
		for _, task := range have {
			each[task.Instance]++
		}
		for _, i := range instances {
			if i.Leaving {
				assert.Zero(t, each[i.ARN], "seed %d: left behind", seed)
				continue
			}
			zones[i.Zone] += each[i.ARN]
			for _, other := range instances {
				if !other.Leaving && other.Zone == i.Zone {
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
