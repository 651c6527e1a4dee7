//go:build amd64 || arm64

package prefetch

//go:noescape
func each(at *uintptr, n, lines int)
