"""PTX of small kernels for suites: what they need is known from the text."""

HEADER = """.version 8.0
.target sm_80
.address_size 64
"""
COPY = (
    HEADER
    + """
.visible .entry copy(.param .u64 copy_a, .param .u64 copy_b)
{
    .reg .b64 %rd<5>;
    .reg .f32 %f<5>;
    ld.param.u64 %rd1, [copy_a];
    ld.param.u64 %rd2, [copy_b];
    cvta.to.global.u64 %rd3, %rd1;
    cvta.to.global.u64 %rd4, %rd2;
    ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd3];
    st.global.v4.f32 [%rd4], {%f1, %f2, %f3, %f4};
    ret;
}
"""
)
# The same copy, an element at a time.
COPY_SCALAR = COPY.replace(
    "    ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd3];\n"
    "    st.global.v4.f32 [%rd4], {%f1, %f2, %f3, %f4};\n",
    "".join(f"    ld.global.f32 %f{i + 1}, [%rd3+{4 * i}];\n" for i in range(4))
    + "".join(f"    st.global.f32 [%rd4+{4 * i}], %f{i + 1};\n" for i in range(4)),
)
# 64 bytes of local memory, indexed at run time, so that no register can hold them; line 13 of table.cu.
TABLE = (
    HEADER
    + """
.visible .entry table(.param .u64 table_a, .param .u64 table_i)
{
    .local .align 4 .b8 kept[64];
    .reg .b64 %rd<9>;
    .reg .b32 %r<3>;
    ld.param.u64 %rd1, [table_a];
    ld.param.u64 %rd2, [table_i];
    cvta.to.global.u64 %rd3, %rd1;
    mov.u64 %rd4, kept;
    and.b64 %rd5, %rd2, 60;
    add.s64 %rd6, %rd4, %rd5;
    ld.global.u32 %r1, [%rd3];
    .loc 1 13 5
    st.local.u32 [%rd6], %r1;
    xor.b64 %rd7, %rd5, 4;
    add.s64 %rd8, %rd4, %rd7;
    ld.local.u32 %r2, [%rd8];
    st.global.u32 [%rd3], %r2;
    ret;
}
    .file 1 "/src/table.cu"
"""
)
CONFIG = """
[[kernels]]
name = "copy"
source = "copy.ptx"
arch = ["sm_80"]
"""
