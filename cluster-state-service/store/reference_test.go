package store

import (
	"testing"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/docs"
)

func TestReference_Keys(t *testing.T) {
	table := docs.Table{Header: []string{"key", "value", "written by", "kept"}}
	for _, row := range [][]string{
		{state.KindTask.Prefix() + "<cluster>/<ARN>", "task: the newest event, or ECS's answer in that form", "each replica",
			"until ECS has forgotten the task, and `--stopped-task-retention`"},
		{state.KindInstance.Prefix() + "<cluster>/<ARN>", "container instance, in the same form", "each replica",
			"until ECS has forgotten the instance"},
		{
			state.TombstonePrefix + "task/<ARN>", "tombstone of a task that a reconciliation removed",
			"the reconciler", "48 hours",
		},
		{
			state.TombstonePrefix + "instance/<ARN>", "tombstone of a container instance", "the reconciler",
			"48 hours",
		},
		{
			state.ReconcilePrefix + "<account>/<region>", "last complete reconciliation of the region",
			"the reconciler", "no end",
		},
		{state.ReconcilePrefix + "<account>/<region>/<cluster>", "last complete reconciliation of the cluster; last error",
			"the reconciler", "until the cluster is deleted"},
		{state.LockPrefix + "<account>/<region>/<lease>", "candidate for the reconciler of the account and region; not JSON",
			"each replica", "until its lease expires"},
		{state.MaintenanceLock + "/<lease>", "candidate for the replica that compacts etcd and removes tombstones; not JSON",
			"each replica", "until its lease expires"},
		{checkpointRoot + "<group>/<shard>", "checkpoint of a Kinesis shard", "the owner of the shard", "no end"},
		{
			groupRoot + "<group>/<shard>", "owner of a Kinesis shard; not JSON", "the owner",
			"until its lease expires",
		},
		{groupRoot + "<group>/" + memberPart + "<name>", "member of the group that reads the stream; empty", "each replica",
			"until its lease expires"},
		{"ecs/data-id", "random ID that shows whether etcd was wiped; not JSON", "both services", "no end"},
		{"ecs/marker", "empty; its revision shows how far the watch has got, with [affected versions of etcd](../../decisions/002-watch-progress.md)",
			"both services", "no end"},
	} {
		table.Add(docs.Code(row[0]), row[1], row[2], row[3])
	}
	docs.Check(t, "../docs/reference/etcd.md", "keys", table.String())
}
