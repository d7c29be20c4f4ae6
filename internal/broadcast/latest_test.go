package broadcast

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// changes is what the cursor returns, as one line.
func changes(c *Cursor[string, int]) string {
	var words []string
	for _, u := range c.Changes() {
		if u.Deleted {
			words = append(words, "-"+u.Key)
		} else {
			words = append(words, fmt.Sprintf("%s=%d", u.Key, u.Value))
		}
	}
	return strings.Join(words, " ")
}

func TestCursor_ReturnsEveryKeyAndThenWhatChanged(t *testing.T) {
	l := NewLatest[string, int]()
	l.Set("a", 1)
	l.Set("b", 1)
	c := l.Subscribe()
	assert.Equal(t, "a=1 b=1", changes(c))
	assert.Empty(t, changes(c))
	l.Set("a", 2)
	l.Set("c", 1)
	l.Delete("b")
	assert.Equal(t, "a=2 c=1 -b", changes(c))
	l.Set("b", 3)
	assert.Equal(t, "b=3", changes(c))
}

func TestCursor_SkipsValuesInBetween(t *testing.T) {
	l := NewLatest[string, int]()
	c := l.Subscribe()
	changes(c)
	for i := range 10 {
		l.Set("a", i)
		l.Set("b", i)
	}
	l.Set("a", 10)
	assert.Equal(t, "b=9 a=10", changes(c))
}

func TestCursor_ReturnsADeletionBeforeTheKeyIsSetAgain(t *testing.T) {
	l := NewLatest[string, int]()
	l.Set("a", 1)
	c := l.Subscribe()
	changes(c)
	l.Delete("a")
	l.Set("a", 2)
	assert.Equal(t, "-a a=2", changes(c))
}

func TestCursor_StartsWithoutDeletions(t *testing.T) {
	l := NewLatest[string, int]()
	other := l.Subscribe()
	defer other.Close()
	l.Set("a", 1)
	l.Delete("a")
	c := l.Subscribe()
	assert.Empty(t, changes(c))
	l.Set("b", 1)
	assert.Equal(t, "b=1", changes(c))
}

func TestLatest_ForgetsDeletionsThatEveryCursorReturned(t *testing.T) {
	l := NewLatest[string, int]()
	quick, slow := l.Subscribe(), l.Subscribe()
	for i := range 100 {
		key := fmt.Sprint(i)
		l.Set(key, i)
		l.Delete(key)
		changes(quick)
	}
	assert.Equal(t, 100, l.changes.Len(), "the slow cursor has yet to return them")
	slow.Close()
	assert.Zero(t, l.changes.Len())
	for i := range 100 {
		key := fmt.Sprint(i)
		l.Set(key, i)
		changes(quick)
		l.Delete(key)
	}
	assert.LessOrEqual(t, l.changes.Len(), 1)
	assert.Empty(t, l.entries)
}

func TestLatest_GetAndClear(t *testing.T) {
	l := NewLatest[string, int]()
	_, ok := l.Get("a")
	assert.False(t, ok)
	l.Set("a", 1)
	value, ok := l.Get("a")
	assert.True(t, ok)
	assert.Equal(t, 1, value)
	c := l.Subscribe()
	l.Clear()
	assert.Empty(t, changes(c))
	l.Delete("a")
	l.Set("b", 2)
	assert.Equal(t, "b=2", changes(c))
}
