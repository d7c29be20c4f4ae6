// Package e2e tests a whole cluster-state-service against a real etcd and a simulated AWS.
package e2e
