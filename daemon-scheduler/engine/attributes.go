package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/planner"
	"github.com/blox/blox/internal/backoff"
)

// comparisonTimeout bounds the comparison of one cluster's attributes with ECS.
const comparisonTimeout = time.Minute

// followAttributes compares the attributes that environments use with ECS at intervals, until ctx ends: ECS sends no
// event if only attributes change. It makes the cluster-state-service read the instances that differ, so that the
// change reaches every reader, the other replicas among them.
func (e *Engine) followAttributes(ctx context.Context, leader *leaderState) error {
	for e.AttributeInterval > 0 && backoff.Sleep(ctx, e.AttributeInterval) {
		inUse := e.Cache.AttributesInUse()
		leader.keepListings(inUse)
		err := forEach(byPlace(inUse), func(_ string, inUse map[string][]string) error {
			var failures []error
			for clusterARN, names := range inUse {
				if err := e.compareAttributes(ctx, leader, clusterARN, names); err != nil {
					failures = append(failures, fmt.Errorf("compare attributes of %s: %w", clusterARN, err))
				}
			}
			return errors.Join(failures...)
		})
		switch {
		case ctx.Err() != nil:
		case err != nil:
			e.listFailures.Failed(err)
		default:
			e.listFailures.Succeeded()
		}
	}
	return nil
}

// compareAttributes lists these attributes of a cluster's instances.
func (e *Engine) compareAttributes(
	ctx context.Context, leader *leaderState, clusterARN string, attributes []string,
) error {
	ctx, cancel := context.WithTimeout(ctx, comparisonTimeout)
	defer cancel()
	listings := map[string]planner.AttributeListing{}
	for _, name := range attributes {
		recorded := map[string]int64{}
		_, records := e.Cache.ReadinessInputs(clusterARN)
		for _, a := range records {
			if a.Name == name {
				recorded[a.Instance] = a.StoredVersion
			}
		}
		values, err := e.ecsIn(clusterARN).ListAttributes(ctx, clusterARN, name)
		if err != nil {
			return fmt.Errorf("list %s: %w", name, err)
		}
		listings[name] = planner.AttributeListing{Values: values, Recorded: recorded}
	}
	leader.recordListings(clusterARN, listings)
	e.ReadinessChanged(clusterARN)
	differing := differingInstances(e.Cluster.Instances(clusterARN), listings)
	if len(differing) == 0 {
		return nil
	}
	corrected, err := e.Cluster.RefreshInstances(ctx, clusterARN, differing)
	if err != nil {
		return err
	}
	e.Log.WithFields(logrus.Fields{
		"cluster": clusterARN, "instances": len(differing), "corrected": corrected,
	}).Info("changed attributes found")
	return nil
}

// differingInstances returns the ARNs of the instances that do not have the attributes as listed.
func differingInstances(
	instances []environment.Instance, listings map[string]planner.AttributeListing,
) (differing []string) {
	for _, i := range instances {
		differs := func(name string) bool {
			value, exists := i.Attribute(name)
			listed, isListed := listings[name].Values[i.ARN]
			return exists != isListed || value != listed
		}
		if !i.Deregistered() && slices.ContainsFunc(slices.Collect(maps.Keys(listings)), differs) {
			differing = append(differing, i.ARN)
		}
	}
	return differing
}

// recordListings records how ECS has listed the attributes in use of a cluster.
func (l *leaderState) recordListings(clusterARN string, listings map[string]planner.AttributeListing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listed[clusterARN] = listings
}

// keepListings removes the listings of clusters in which no attribute is in use any more.
func (l *leaderState) keepListings(inUse map[string][]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.listed, func(clusterARN string, _ map[string]planner.AttributeListing) bool {
		return len(inUse[clusterARN]) == 0
	})
}

// listings returns the latest listings of a cluster's attributes, by name. The caller must not change the map.
func (l *leaderState) listings(clusterARN string) map[string]planner.AttributeListing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.listed[clusterARN]
}
