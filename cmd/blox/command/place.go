package command

import "github.com/spf13/cobra"

// placeFilter holds the flags that select clusters by account and region. The global --region is that of signatures.
type placeFilter struct{ account, region string }

func (f *placeFilter) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.account, "cluster-account", "", "only in clusters of this AWS account, an `ID`")
	cmd.Flags().StringVar(&f.region, "cluster-region", "", "only in clusters of this AWS `region`")
}
