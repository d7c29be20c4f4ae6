package clusterstate

import (
	"testing"

	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

func TestInstanceLists_ConvertAnInstanceWhenItChanges(t *testing.T) {
	known := func(arn, status string) *models.ContainerInstance {
		return &models.ContainerInstance{Entity: &models.ContainerInstanceDetail{
			ContainerInstanceARN: conv.Pointer(arn), Status: conv.Pointer(status), AgentConnected: conv.Pointer(true),
		}}
	}
	statuses := func(instances []environment.Instance) (list []string) {
		for _, i := range instances {
			list = append(list, i.ARN+" "+i.Status)
		}
		return list
	}
	lists := newInstanceLists()
	b, d := known("b", "ACTIVE"), known("d", "ACTIVE")
	first := lists.list("prod", []*models.ContainerInstance{b, d})
	again := lists.list("prod", []*models.ContainerInstance{b, d})
	assert.Same(t, &first[0], &again[0], "nothing has changed")
	assert.Equal(t, []string{"b ACTIVE", "d ACTIVE"}, statuses(again))

	draining := known("b", "DRAINING")
	next := lists.list("prod", []*models.ContainerInstance{known("a", "ACTIVE"), draining, known("c", "ACTIVE"), d})
	assert.Equal(t, []string{"a ACTIVE", "b DRAINING", "c ACTIVE", "d ACTIVE"}, statuses(next))
	assert.Equal(t, []string{"b ACTIVE", "d ACTIVE"}, statuses(first), "readers still have it")
	assert.Equal(t, []string{"b DRAINING"}, statuses(lists.list("prod", []*models.ContainerInstance{draining})))
	assert.Empty(t, lists.list("dev", nil))
	assert.Empty(t, lists.list("prod", nil))
	assert.Empty(t, lists.byCluster)
}
