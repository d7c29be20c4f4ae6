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
