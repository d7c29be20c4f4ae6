package command

import "github.com/spf13/cobra"

// placeFilter holds the flags that select clusters by account and region.
type placeFilter struct{ account, region string }

func (f *placeFilter) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.account, "account", "", "only in this AWS account, an `ID`")
	cmd.Flags().StringVar(&f.region, "region", "", "only in this AWS `region`")
}
