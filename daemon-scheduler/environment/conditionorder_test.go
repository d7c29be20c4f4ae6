package environment

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSortConditions_HasOneOrder(t *testing.T) {
	list := []Condition{
		{
			Type: "ZetaOfALaterVersion"}, {Type: ConditionThrottled}, {Type: "AlphaOfALaterVersion"},
		{Type: ConditionPaused},
		{Type: ConditionTasksUnhealthy}, {Type: ConditionCredentialsExpired},
	}
	SortConditions(list)
	var sorted []ConditionType
	for _, c := range list {
		sorted = append(sorted, c.Type)
	}
	assert.Equal(t, []ConditionType{
		ConditionPaused, ConditionTasksUnhealthy, ConditionCredentialsExpired, ConditionThrottled,
		"AlphaOfALaterVersion", "ZetaOfALaterVersion",
	}, sorted)
}
