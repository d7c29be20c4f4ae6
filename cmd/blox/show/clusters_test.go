package show

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCluster_TellsClustersOfOneNameApart(t *testing.T) {
	const (
		own   = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"
		other = "arn:aws:ecs:eu-west-1:210987654321:cluster/prod"
		only  = "arn:aws:ecs:eu-west-1:210987654321:cluster/test"
	)
	s := Style{}.WithClusters(own, other, own, only)
	assert.Equal(t, "prod (us-east-1/123456789012)", s.Cluster(own))
	assert.Equal(t, "prod (eu-west-1/210987654321)", s.Cluster(other))
	assert.Equal(t, "test", s.Cluster(only))
	assert.Equal(t, "prod", Style{}.WithClusters(own, own, only).Cluster(own))
	assert.Equal(t, "prod", s.Cluster("prod"), "a record of v0.3 may have a name")
	s.Wide = true
	assert.Equal(t, own, s.Cluster(own))
}

// A line cannot wait for the clusters of later lines.
func TestStreamClusters_NamesTheRegionFromTheSecondOneOn(t *testing.T) {
	const (
		own     = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"
		test    = "arn:aws:ecs:us-east-1:123456789012:cluster/test"
		region  = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"
		account = "arn:aws:ecs:us-east-1:210987654321:cluster/prod"
	)
	for _, other := range []string{region, account} {
		var clusters StreamClusters
		assert.Equal(t, "prod", clusters.Name(Style{}, own))
		assert.Equal(t, "test", clusters.Name(Style{}, test))
		assert.Equal(t, "prod"+ofRegion(other), clusters.Name(Style{}, other))
		assert.Equal(t, "test (us-east-1/123456789012)", clusters.Name(Style{}, test))
		wide := Style{}
		wide.Wide = true
		assert.Equal(t, other, clusters.Name(wide, other))
	}
}
