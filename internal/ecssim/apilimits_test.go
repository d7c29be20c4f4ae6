package ecssim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPILimits_AreECSsTokenBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := newAPILimits()
		allowed := func(action string) (n int) {
			for range 1000 {
				if limits.allow(action) {
					n++
				}
			}
			return n
		}
		assert.Equal(t, 100, allowed("StartTask"))
		assert.Zero(t, allowed("StopTask"), "they share a bucket")
		assert.Equal(t, 100, allowed("ListTasks"))
		assert.Zero(t, allowed("DescribeContainerInstances"))
		assert.Equal(t, 50, allowed("DescribeClusters"))
		assert.Equal(t, 50, allowed("DescribeTaskDefinition"))
		assert.Equal(t, 1000, allowed("CreateCluster"), "it is not limited")
		time.Sleep(time.Second)
		assert.Equal(t, 40, allowed("PutAttributes"))
		assert.Equal(t, 20, allowed("ListAttributes"))
		assert.Equal(t, 20, allowed("ListClusters"))
	})
}

func TestAPILimits_ThrottleCallsOfECS(t *testing.T) {
	w := newFixture(t, Config{APILimits: true})
	w.limits["ListClusters"].SetLimit(0)
	for range 50 {
		_, err := w.ecs.ListClusters(w.ctx, &ecs.ListClustersInput{})
		require.NoError(t, err)
	}
	_, err := w.ecs.ListClusters(w.ctx, &ecs.ListClustersInput{})
	require.ErrorContains(t, err, "ThrottlingException")
	assert.Equal(t, map[string]int{"succeeded": 50, "ThrottlingException": 1}, w.Counters().Calls["ListClusters"])
	assert.Equal(t, map[string]int{"ListClusters": 1}, w.Counters().Limited)
	w.SetFaults(Faults{Throttle: map[string]float64{"ListTasks": 1}})
	_, err = w.ecs.ListTasks(w.ctx, &ecs.ListTasksInput{})
	require.ErrorContains(t, err, "ThrottlingException")
	assert.Equal(t, map[string]int{"ListClusters": 1}, w.Counters().Limited, "the fault is not counted")
	assert.Empty(t, newFixture(t, Config{}).limits)
}
