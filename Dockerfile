# The two images of a cluster, from the root of the repository:
#
#   docker build --target worker   -t watershed/worker .
#   docker build --target operator -t watershed/operator .
#
# They hold a program, the C library and the certificates of public authorities: no shell, no package manager, nobody but the user
# 65532. Nothing is written to the root file system, so it can be read-only; a job that stages files mounts a volume for them.
# The stages `build` and `rootfs` are the only ones that need a network. Where there is none, both may be given as directories
# (`--build-context build=DIR --build-context rootfs=DIR`), which is what `make images` does.

FROM rust:1.95-bookworm AS build
ARG PROFILE=dist
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --profile "$PROFILE" -p watershed-cli -p watershed-operator \
    && for program in watershed watershed-operator; do strip -o "/$program" "target/$PROFILE/$program"; done

FROM debian:bookworm-slim AS rootfs
COPY e2e/images/rootfs.sh /
RUN /rootfs.sh /image

FROM scratch AS worker
COPY --from=rootfs /image /
COPY --from=build /watershed /usr/bin/watershed
USER 65532:65532
ENTRYPOINT ["/usr/bin/watershed"]

FROM scratch AS operator
COPY --from=rootfs /image /
COPY --from=build /watershed-operator /usr/bin/watershed-operator
USER 65532:65532
ENTRYPOINT ["/usr/bin/watershed-operator"]
