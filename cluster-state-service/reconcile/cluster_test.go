package reconcile

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
)

// A cluster's key in etcd has its name alone. Each account and region reconciles its own cluster of that name.
func TestStoredKeys_SeparatesClustersWithEqualNames(t *testing.T) {
	tasks := cache.NewTasks()
	clusters := map[string]string{}
	for _, place := range []string{"eu-west-1:123456789012", "us-east-1:123456789012", "eu-west-1:210987654321"} {
		task := state.Task{
			ARN: "arn:aws:ecs:" + place + ":task/prod/1", ClusterARN: "arn:aws:ecs:" + place + ":cluster/prod",
		}
		key, err := task.Key()
		require.NoError(t, err)
		tasks.Put(&cache.Entry[state.TaskSummary]{Key: key.String(), Entity: task.Summary(key.String())})
		clusters[task.ClusterARN] = task.ARN
	}
	for cluster, arn := range clusters {
		keys := storedKeys(state.KindTask, cluster, tasks, clusterOfTask)
		assert.Len(t, keys, 1, cluster)
		assert.Equal(t, arn, keys[arn].ARN)
	}
}
