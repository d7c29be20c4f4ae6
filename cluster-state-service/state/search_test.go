package state

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

func TestSearch_MatchesWhatPeopleRecognise(t *testing.T) {
	task, err := DecodeTask(testenv.Event(t, "task-ec2-running.json"))
	require.NoError(t, err)
	instance, err := DecodeInstance(testenv.Event(t, "instance-active.json"))
	require.NoError(t, err)
	task.StoppedReason = "Zurück: Host EC2 terminated"
	summary := task.Summary("")
	id := instance.ARN[strings.LastIndexByte(instance.ARN, '/')+1:]
	for text, want := range map[string]struct{ task, instance bool }{
		"":                           {true, true},
		"HOST ec2 Term":              {true, false},
		"zurück":                     {true, false},
		"zurÜck":                     {false, false}, // letters of ASCII only
		strings.ToUpper(id[4:12]):    {task.ContainerInstanceARN == instance.ARN, true},
		task.ARN:                     {true, false},
		strings.ToUpper(task.ARN):    {true, false},
		instance.EC2InstanceID[2:]:   {false, true},
		"arn:aws":                    {true, true},
		"cluster":                    {false, false}, // of every ARN
		strings.Repeat("x", 256):     {false, false},
		instance.ARN + "x":           {false, false},
		task.TaskDefinitionARN[4:20]: {false, false}, // the middle of an ARN
	} {
		search, err := parseSearch(text)
		require.NoError(t, err)
		assert.Equal(t, want.task, search.matchesTask(&summary), "task: %q", text)
		assert.Equal(t, want.instance, search.matchesInstance(&instance), "instance: %q", text)
	}
	_, err = parseSearch(strings.Repeat("x", 257))
	assert.EqualError(t, err, `Invalid search "`+strings.Repeat("x", 100)+`": must be at most 256 bytes`)
}
