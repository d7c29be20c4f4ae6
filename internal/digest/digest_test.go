package digest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func sumOf(versions map[string]int64) (s Sum) {
	for arn, version := range versions {
		s.Add(arn, version)
	}
	return s
}

func TestSum_DependsOnRecordsAndNotOnTheirOrder(t *testing.T) {
	all := sumOf(map[string]int64{"a": 1, "b": 2, "c": 3})
	var reverse Sum
	for _, r := range []struct {
		arn     string
		version int64
	}{{"c", 3}, {"x", 9}, {"b", 2}, {"a", 1}} {
		reverse.Add(r.arn, r.version)
	}
	assert.NotEqual(t, all, reverse)
	reverse.Remove("x", 9)
	assert.Equal(t, all, reverse)
	for name, other := range map[string]map[string]int64{
		"a record is missing":   {"a": 1, "b": 2},
		"a version is older":    {"a": 1, "b": 2, "c": 2},
		"versions are swapped":  {"a": 2, "b": 1, "c": 3},
		"an ARN is another one": {"a": 1, "b": 2, "d": 3},
	} {
		assert.NotEqual(t, all, sumOf(other), name)
	}
}

// Clients in other languages compute the same.
func TestSum_HasADocumentedForm(t *testing.T) {
	var s Sum
	assert.Equal(t, "0000000000000000", s.String())
	s.Add("arn:aws:ecs:eu-west-1:123456789012:task/prod/1", 812)
	assert.Equal(t, "42e7cbe3993d3ae3", s.String())
}

func TestSum_AllocatesNothing(t *testing.T) {
	var s Sum
	assert.Zero(t, testing.AllocsPerRun(100, func() { s.Add("arn:aws:ecs:eu-west-1:123456789012:task/prod/1", 812) }))
}
