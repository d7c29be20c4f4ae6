package state

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func taskValue(n int, status string) []byte {
	return fmt.Appendf(nil, `{"detail":{"taskArn":"arn:aws:ecs:us-east-1:123456789012:task/c/%032d",`+
		`"clusterArn":"arn:aws:ecs:us-east-1:123456789012:cluster/c","lastStatus":%q,"version":%d}}`, n, status, n+1)
}

func TestTaskDecoder_DecodesAKeptValueOnce(t *testing.T) {
	var d TaskDecoder
	kept, err := d.Keep(taskValue(1, "RUNNING"))
	require.NoError(t, err)
	assert.Equal(t, "RUNNING", kept.LastStatus)

	taken, err := d.Take(taskValue(1, "RUNNING")) // another copy of the same value
	require.NoError(t, err)
	assert.Equal(t, kept, taken)
	assert.Empty(t, d.kept, "a value is taken once")
	again, err := d.Take(taskValue(1, "RUNNING"))
	require.NoError(t, err)
	assert.Equal(t, kept, again, "decoded again")

	other, err := d.Take(taskValue(1, "STOPPED"))
	require.NoError(t, err)
	assert.Equal(t, "STOPPED", other.LastStatus)
}

func TestTaskDecoder_RejectsMalformedValues(t *testing.T) {
	var d TaskDecoder
	_, err := d.Keep([]byte(`{"detail":{"taskArn":1}}`))
	require.Error(t, err)
	assert.Empty(t, d.kept)
	_, err = d.Take([]byte(`{"detail":{"taskArn":1}}`))
	assert.Error(t, err)
}

func TestTaskDecoder_KeepsABoundedNumber(t *testing.T) {
	var d TaskDecoder
	for n := range 3 * maxKeptTasks {
		_, err := d.Keep(taskValue(n, "RUNNING"))
		require.NoError(t, err)
		_, err = d.Keep(taskValue(n, "RUNNING")) // delivered again
		require.NoError(t, err)
		require.LessOrEqual(t, len(d.kept), maxKeptTasks)
	}
	assert.Len(t, d.kept, maxKeptTasks, "the latest ones")
	for n := 2 * maxKeptTasks; n < 3*maxKeptTasks; n++ {
		task, err := d.Take(taskValue(n, "RUNNING"))
		require.NoError(t, err)
		assert.EqualValues(t, n+1, task.Version)
	}
	assert.Empty(t, d.kept)
}
