package main

import "slices"

// clusterStateMutations break the promises of cluster-state-service.
var clusterStateMutations = slices.Concat(
	ingestMutations, storeMutations, cacheMutations, streamMutations, reconcileMutations, budgetMutations,
	informerMutations, apiMutations,
)

const clusterStateEndToEnd = "cluster-state-service/e2e"
