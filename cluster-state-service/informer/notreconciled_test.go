package informer

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/testenv"
)

// A cluster that the service has never reconciled may lack records, until a heartbeat reports that it was reconciled.
func TestInformer_NamesClustersThatWereNeverReconciled(t *testing.T) {
	const secret = "arn:aws:ecs:eu-west-1:123456789012:cluster/secret"
	beat := make(chan string)
	service := newCSS(t, []string{
		strings.Replace(listed(10, task("a", 9)), `"reconciledAt":""`, `"notReconciled":["`+secret+`"]`, 1),
	}, func(s stream) {
		for line := range beat {
			s.send(line)
		}
		s.beats(12)
	})
	m, changes := run(t, service)
	testenv.Eventually(t, m.Synced)
	assert.False(t, m.Reconciled(secret))
	assert.True(t, m.Reconciled(prod))
	names := func(clusterARN string) string {
		return strings.Replace(heartbeat(11), `}}`, `,"notReconciled":["`+clusterARN+`"]}}`, 1)
	}
	beat <- names(secret)
	beat <- names(prod)
	close(beat)
	testenv.Eventually(t, func() bool { return m.Reconciled(prod) && m.Reconciled(secret) })
	ofClusters := func() (arns []string) {
		changes.mu.Lock()
		defer changes.mu.Unlock()
		for _, c := range changes.all {
			if c.Kind == KindCluster {
				assert.Equal(t, c.ClusterARN, c.ARN)
				arns = append(arns, c.ARN)
			}
		}
		return arns
	}
	testenv.Eventually(t, func() bool { return len(ofClusters()) == 4 })
	got := ofClusters()
	assert.Equal(t, secret, got[0], "the list")
	assert.ElementsMatch(t, []string{prod, secret}, got[1:3], "a heartbeat names another cluster")
	assert.Equal(t, prod, got[3], "a heartbeat names none")
}

// A region that the service has never reconciled may have clusters that nothing knows.
func TestInformer_TreatsNoClusterOfARegionThatWasNeverReconciledAsEmpty(t *testing.T) {
	const secret = "arn:aws:ecs:eu-west-1:210987654321:cluster/"
	reconciled := make(chan struct{})
	service := newCSS(t, []string{
		strings.Replace(listed(10, task("a", 9)), `"reconciledAt":""`, `"notReconciled":["`+secret+`*"]`, 1),
	}, func(s stream) {
		<-reconciled
		s.beats(12)
	})
	m, changes := run(t, service)
	testenv.Eventually(t, m.Synced)
	assert.False(t, m.Reconciled(secret+"prod"))
	assert.True(t, m.Reconciled(prod))
	close(reconciled)
	testenv.Eventually(t, func() bool { return m.Reconciled(secret + "prod") }, "a heartbeat names none")
	changes.mu.Lock()
	defer changes.mu.Unlock()
	assert.Equal(t, KindCluster, changes.all[0].Kind)
	assert.Equal(t, secret+"*", changes.all[0].ClusterARN)
}
