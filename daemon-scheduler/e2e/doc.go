// Package e2e tests daemon-scheduler end to end: its API, with a real etcd, a cluster-state-service and a simulated
// ECS.
package e2e
