package clusterstate

import (
	"testing"
	"time"

	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

func TestTaskConversions_ConvertATaskWhenItChanges(t *testing.T) {
	known := func(arn, status string) *models.Task {
		return &models.Task{Entity: &models.TaskDetail{
			TaskARN: conv.Pointer(arn), LastStatus: conv.Pointer(status), ClusterARN: conv.Pointer("prod"),
		}}
	}
	now := time.Now()
	c := newTaskConversions()
	one, two := known("t1", "PENDING"), known("t2", "RUNNING")
	first := c.list("d1", []*models.Task{one, two}, now)
	assert.Equal(t, "PENDING", first[0].task.LastStatus)
	assert.Equal(t, "prod", first[0].clusterARN)
	again := c.list("d1", []*models.Task{two, one}, now)
	assert.Same(t, first[0], again[1], "nothing has changed")
	changed := c.list("d1", []*models.Task{known("t1", "RUNNING"), two}, now)
	assert.Equal(t, "RUNNING", changed[0].task.LastStatus)
	assert.Same(t, first[1], changed[1])

	for range 10 {
		c.list("d1", []*models.Task{known("t1", "RUNNING"), two}, now)
	}
	assert.LessOrEqual(t, len(c.byStarter["d1"].byRecord), 6, "former states are removed")
	assert.Same(t, first[1], c.list("d1", []*models.Task{two}, now)[0])
	c.list("d2", []*models.Task{one}, now.Add(2*conversionRetention))
	assert.NotContains(t, c.byStarter, "d1", "no plan reads it")
	assert.Empty(t, c.list("d2", nil, now))
	assert.Empty(t, c.byStarter)
	assert.Len(t, (*taskConversions)(nil).list("d1", []*models.Task{one}, now), 1)
}
