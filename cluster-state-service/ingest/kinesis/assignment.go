package kinesis

import "slices"

// runnableShards returns the shards that may be read now: those not read to their end whose parents have been, or are
// too old to be listed. This keeps the order of an entity's events when its shard is split or merged.
func runnableShards(shards []shard, checkpoints map[string]checkpoint) []string {
	listed := map[string]bool{}
	for _, s := range shards {
		listed[s.id] = true
	}
	unfinished := func(id string) bool { return listed[id] && !checkpoints[id].Ended }
	var ids []string
	for _, s := range shards {
		if unfinished(s.id) && !slices.ContainsFunc(s.parents, unfinished) {
			ids = append(ids, s.id)
		}
	}
	return ids
}

// assignShards returns the shards that the member self should acquire and release, so that all members come to own
// equal numbers of shards, plus or minus one, and no shard moves without need. owners is by shard. Every member
// decides for itself; the locks in etcd decide between two members that want the same shard.
func assignShards(
	shards []string, owners map[string]string, members []string, self string,
) (acquire, release []string) {
	names := slices.Sorted(slices.Values(members))
	rank, found := slices.BinarySearch(names, self)
	if !found {
		names = slices.Insert(names, rank, self)
	}
	quota := len(shards) / len(names)
	if rank < len(shards)%len(names) {
		quota++
	}
	var owned, free []string
	for _, s := range shards {
		switch owners[s] {
		case self:
			owned = append(owned, s)
		case "":
			free = append(free, s)
		}
	}
	if len(owned) > quota {
		return nil, owned[quota:]
	}
	return free[:min(quota-len(owned), len(free))], nil
}
