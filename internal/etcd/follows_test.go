package etcd

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPosition_FollowsOnlyTheSameHistory(t *testing.T) {
	before := position{cluster: 1, revision: 10, dataID: "a"}
	for name, c := range map[string]struct {
		now    position
		before position
		want   bool
	}{
		"first check":              {now: before, want: true},
		"nothing new":              {now: before, before: before, want: true},
		"newer":                    {now: position{1, 11, "a"}, before: before, want: true},
		"id created":               {now: position{1, 11, "a"}, before: position{cluster: 1, revision: 10}, want: true},
		"restored":                 {now: position{1, 9, "a"}, before: before},
		"restored elsewhere":       {now: position{2, 20, "a"}, before: before},
		"wiped and overtaken":      {now: position{1, 20, "b"}, before: before},
		"wiped, without an id yet": {now: position{1, 20, ""}, before: before},
		"before the first check":   {now: position{1, 9, ""}, before: position{revision: 10}},
	} {
		assert.Equal(t, c.want, c.now.follows(c.before), name)
	}
}
