package environment

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConditionTypes_AreDocumentedInTheirOrder(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	section := regexp.MustCompile(`(?s)\| condition \| holds while \| what to do \|\n(.*?)\n\n`).FindSubmatch(readme)
	require.NotNil(t, section, "the table of conditions")
	var documented []ConditionType
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| [^|]+ \\| [^|]+ \\|$").FindAllSubmatch(section[1], -1) {
		documented = append(documented, ConditionType(row[1]))
	}
	assert.Equal(t, ConditionTypes, documented)
}

func TestSortConditions_HasOneOrder(t *testing.T) {
	list := []Condition{
		{Type: "ZetaOfALaterVersion"}, {Type: ConditionThrottled}, {Type: "AlphaOfALaterVersion"}, {Type: ConditionPaused},
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
