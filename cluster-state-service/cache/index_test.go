package cache

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/cluster-state-service/state"
)

func TestIndex_ClonesAreIndependent(t *testing.T) {
	one := NewIndex[int](nil)
	for _, key := range []string{"b/2", "a/1", "b/1", "c"} {
		one.Put(&Entry[int]{Key: key})
	}
	two := one.Clone()
	two.Delete("b/1")
	two.Put(&Entry[int]{Key: "b/3", Entity: 3})
	keys := func(x Index[int], prefix string) (keys []string) {
		for e := range x.Prefix(prefix) {
			keys = append(keys, e.Key)
		}
		return keys
	}
	assert.Equal(t, []string{"b/1", "b/2"}, keys(one, "b/"))
	assert.Equal(t, []string{"b/2", "b/3"}, keys(two, "b/"))
	assert.Equal(t, 4, one.Len())
	assert.Nil(t, one.Get("b/3"))
	assert.Equal(t, 3, two.Get("b/3").Entity)
	for e := range two.Prefix("") {
		assert.Equal(t, "a/1", e.Key, "a walk can stop early")
		break
	}
}

func TestIndex_FindsBySecondaryKey(t *testing.T) {
	x := NewTasks()
	put := func(key, by string) {
		x.Put(&Entry[state.TaskSummary]{Key: key, Entity: state.TaskSummary{StartedBy: by}})
	}
	for _, key := range []string{"b/2", "a/1", "b/1", "b/3"} {
		put(key, "mine")
	}
	put("b/4", "mine, too")
	put("b/5", "")
	keys := func(x Index[state.TaskSummary], startedBy, after, prefix string) (keys []string) {
		for e := range x.BySecondaryKey(startedBy, after, prefix) {
			keys = append(keys, e.Key)
		}
		return keys
	}
	assert.Equal(t, []string{"a/1", "b/1", "b/2", "b/3"}, keys(x, "mine", "", ""))
	assert.Equal(t, []string{"b/2", "b/3"}, keys(x, "mine", "b/1", "b/"))
	before := x.Clone()
	put("b/1", "another")
	put("b/2", "mine")
	put("a/1", "")
	x.Delete("b/3")
	x.Delete("nothing")
	assert.Equal(t, []string{"b/2"}, keys(x, "mine", "", ""))
	assert.Equal(t, []string{"b/1"}, keys(x, "another", "", ""))
	assert.Empty(t, keys(x, "unknown", "", ""))
	assert.Equal(t, []string{"a/1", "b/1", "b/2", "b/3"}, keys(before, "mine", "", ""))
	assert.Equal(t, 5, x.Len())
}
