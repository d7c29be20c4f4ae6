package kinesis

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRunnableShards_WaitForParents(t *testing.T) {
	// 0 was split into 1 and 2, which were merged into 3; 4 has always been there.
	shards := []shard{{"0", nil}, {"1", []string{"0"}}, {"2", []string{"0"}}, {"3", []string{"1", "2"}}, {"4", nil}}
	for name, tc := range map[string]struct {
		shards []shard
		ended  []string
		want   []string
	}{
		"starts with shards without parents":       {shards, nil, []string{"0", "4"}},
		"continues with children of ended parents": {shards, []string{"0"}, []string{"1", "2", "4"}},
		"a merged shard waits for both parents":    {shards, []string{"0", "1"}, []string{"2", "4"}},
		"a merged shard follows both parents":      {shards, []string{"0", "1", "2"}, []string{"3", "4"}},
		"ended shards are not read again":          {shards, []string{"0", "1", "2", "3", "4"}, nil},
		"unlisted parents count as ended":          {shards[1:], nil, []string{"1", "2", "4"}},
		"one of two parents is unlisted":           {shards[2:], []string{"2"}, []string{"3", "4"}},
		"an unfinished grandparent does not block": {shards, []string{"1", "2"}, []string{"0", "3", "4"}},
		"no shards": {nil, []string{"0"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			checkpoints := map[string]checkpoint{"2": {SequenceNumber: "17"}}
			for _, id := range tc.ended {
				checkpoints[id] = checkpoint{Ended: true}
			}
			assert.Equal(t, tc.want, runnableShards(tc.shards, checkpoints))
		})
	}
}

func TestAssignShards_KeepsQuotas(t *testing.T) {
	four := []string{"0", "1", "2", "3"}
	both := []string{"self", "sibling"}
	for name, tc := range map[string]struct {
		owners           map[string]string
		members          []string
		acquire, release []string
	}{
		"a single member acquires all":  {nil, []string{"self"}, four, nil},
		"two members acquire half each": {nil, both, []string{"0", "1"}, nil},
		"shards of another member stay": {
			map[string]string{"0": "sibling", "1": "sibling"}, both, []string{"2", "3"}, nil,
		},
		"a member that has its quota changes nothing": {map[string]string{"0": "self", "1": "self"}, both, []string{}, nil},
		"a member above its quota releases": {
			map[string]string{"0": "self", "1": "self", "2": "self"}, both, nil, []string{"2"},
		},
		"the first member takes the remainder":      {nil, []string{"self", "sibling", "zoe"}, []string{"0", "1"}, nil},
		"the second member takes no remainder":      {nil, []string{"all", "self", "zoe"}, []string{"0"}, nil},
		"more members than shards":                  {nil, []string{"a", "b", "c", "d", "self"}, []string{}, nil},
		"a member that is not announced yet counts": {nil, []string{"sibling"}, []string{"0", "1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			acquire, release := assignShards(four, tc.owners, tc.members, "self")
			assert.Equal(t, tc.acquire, acquire)
			assert.Equal(t, tc.release, release)
		})
	}
}

// From any initial owners, and in any order of rebalances, the shards become even, and then none moves.
func TestAssignShards_Converges(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var shards, members []string
		for i := range random.IntN(20) {
			shards = append(shards, fmt.Sprint("shard", i))
		}
		for i := range 1 + random.IntN(5) {
			members = append(members, fmt.Sprint("replica", i))
		}
		owners := map[string]string{}
		for _, s := range shards {
			if who := random.IntN(len(members) + 1); who < len(members) {
				owners[s] = members[who]
			}
		}
		rebalance := func() (moved int) {
			for _, i := range random.Perm(len(members)) {
				acquire, release := assignShards(shards, owners, members, members[i])
				for _, s := range acquire {
					owners[s] = members[i]
				}
				for _, s := range release {
					delete(owners, s)
				}
				moved += len(acquire) + len(release)
			}
			return moved
		}
		rebalance()
		rebalance()
		assert.Zero(t, rebalance(), "seed %d", seed)
		count := map[string]int{}
		for _, s := range shards {
			count[owners[s]]++
		}
		for _, r := range members {
			assert.InDelta(t, float64(len(shards))/float64(len(members)), count[r], 0.999, "seed %d", seed)
		}
	}
}
