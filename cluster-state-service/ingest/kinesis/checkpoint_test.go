package ingest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestReadable(t *testing.T) {
	// 0 was split into 1 and 2, which were merged into 3; 4 has always been there.
	shards := []shard{{"0", nil}, {"1", []string{"0"}}, {"2", []string{"0"}}, {"3", []string{"1", "2"}}, {"4", nil}}
	for name, tc := range map[string]struct {
		shards []shard
		ended  []string
		want   []string
	}{
		"at first, only who has no parent":        {shards, nil, []string{"0", "4"}},
		"children come when the parent is done":   {shards, []string{"0"}, []string{"1", "2", "4"}},
		"a merged one waits for both":             {shards, []string{"0", "1"}, []string{"2", "4"}},
		"then it comes":                           {shards, []string{"0", "1", "2"}, []string{"3", "4"}},
		"what is done is not read again":          {shards, []string{"0", "1", "2", "3", "4"}, nil},
		"parents too old to be listed are done":   {shards[1:], nil, []string{"1", "2", "4"}},
		"so is one of two":                        {shards[2:], []string{"2"}, []string{"3", "4"}},
		"an unfinished grandparent does not hold": {shards, []string{"1", "2"}, []string{"0", "3", "4"}},
		"no shards": {nil, []string{"0"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			checkpoints := map[string]checkpoint{"2": {SequenceNumber: "17"}}
			for _, id := range tc.ended {
				checkpoints[id] = checkpoint{Ended: true}
			}
			assert.Equal(t, tc.want, readable(tc.shards, checkpoints))
		})
	}
}

func TestReadCheckpoint(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]checkpoint{
		``:  {StreamCreated: created},
		`{`: {StreamCreated: created},
		`{"sequenceNumber":"7","streamCreated":"2026-01-02T03:04:05Z"}`: {"7", false, created},
		`{"ended":true,"streamCreated":"2026-01-02T03:04:05Z"}`:         {"", true, created},
		`{"sequenceNumber":"7","streamCreated":"2025-01-02T03:04:05Z"}`: {StreamCreated: created},
		`{"sequenceNumber":"7","ended":true}`:                           {StreamCreated: created},
	} {
		assert.Equal(t, want, readCheckpoint([]byte(value), created), value)
	}
}

func TestShare(t *testing.T) {
	four := []string{"0", "1", "2", "3"}
	for name, tc := range map[string]struct {
		holders    map[string]string
		replicas   []string
		take, give []string
	}{
		"alone, all are mine":       {nil, []string{"me"}, four, nil},
		"half of them":              {nil, []string{"me", "you"}, []string{"0", "1"}, nil},
		"the others' stay theirs":   {map[string]string{"0": "you", "1": "you"}, []string{"me", "you"}, []string{"2", "3"}, nil},
		"enough":                    {map[string]string{"0": "me", "1": "me"}, []string{"me", "you"}, []string{}, nil},
		"too many":                  {map[string]string{"0": "me", "1": "me", "2": "me"}, []string{"me", "you"}, nil, []string{"2"}},
		"a rest for the first":      {nil, []string{"me", "you", "zoe"}, []string{"0", "1"}, nil},
		"not for the second":        {nil, []string{"all", "me", "zoe"}, []string{"0"}, nil},
		"more replicas than shards": {nil, []string{"a", "b", "c", "d", "me"}, []string{}, nil},
		"not announced yet":         {nil, []string{"you"}, []string{"0", "1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			take, give := share(four, tc.holders, tc.replicas, "me")
			assert.Equal(t, tc.take, take)
			assert.Equal(t, tc.give, give)
		})
	}
}

// Wherever the shards begin, and in whatever order the replicas look, they end up even, and then nothing moves.
func TestShareComesToRest(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var shards, replicas []string
		for i := range random.IntN(20) {
			shards = append(shards, fmt.Sprint("shard", i))
		}
		for i := range 1 + random.IntN(5) {
			replicas = append(replicas, fmt.Sprint("replica", i))
		}
		holders := map[string]string{}
		for _, s := range shards {
			if who := random.IntN(len(replicas) + 1); who < len(replicas) {
				holders[s] = replicas[who]
			}
		}
		look := func() (moved int) {
			for _, i := range random.Perm(len(replicas)) {
				take, give := share(shards, holders, replicas, replicas[i])
				for _, s := range take {
					holders[s] = replicas[i]
				}
				for _, s := range give {
					delete(holders, s)
				}
				moved += len(take) + len(give)
			}
			return moved
		}
		look()
		look()
		assert.Zero(t, look(), "seed %d", seed)
		count := map[string]int{}
		for _, s := range shards {
			count[holders[s]]++
		}
		for _, r := range replicas {
			assert.InDelta(t, float64(len(shards))/float64(len(replicas)), count[r], 0.999, "seed %d", seed)
		}
	}
}

func FuzzReadCheckpoint(f *testing.F) {
	for _, seed := range []string{
		`{"sequenceNumber":"49","streamCreated":"2026-01-02T03:04:05Z"}`, `{"ended":true,"streamCreated":"2026-01-02T04:04:05+01:00"}`,
		`{"sequenceNumber":"1","streamCreated":"2026-01-02T03:04:06Z"}`, `{"sequenceNumber":7}`, `null`, ``, `[]`,
	} {
		f.Add([]byte(seed))
	}
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value []byte) {
		c := readCheckpoint(value, created)
		if !c.StreamCreated.Equal(created) {
			t.Fatalf("%q: of another stream: %+v", value, c)
		}
		written, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		again := readCheckpoint(written, created)
		if again.SequenceNumber != c.SequenceNumber || again.Ended != c.Ended {
			t.Fatalf("%q: %+v is read again as %+v", value, c, again)
		}
	})
}
