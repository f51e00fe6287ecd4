// stb_truetype and stb_easy_font as the library uses them: in the namespace normnet_impl, so that a program may use stb, too, before or
// after.
#pragma once
#pragma GCC system_header  // warnings about stb are nobody's here, wherever its headers lie

#include <normnet/core/requirements.hpp>

// What stb includes, which must not land in the namespace.
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// The program's options of stb are not ours, and ours are not the program's.
#pragma push_macro("__STB_INCLUDE_STB_TRUETYPE_H__")
#pragma push_macro("INCLUDE_STB_EASY_FONT_H")
#pragma push_macro("STB_RECT_PACK_VERSION")
#pragma push_macro("STB_TRUETYPE_IMPLEMENTATION")
#pragma push_macro("STBTT_DEF")
#pragma push_macro("STBTT_MAX_OVERSAMPLE")
#pragma push_macro("STBTT_RASTERIZER_VERSION")
#pragma push_macro("STBTT_STATIC")
#pragma push_macro("STBTT_acos")
#pragma push_macro("STBTT_assert")
#pragma push_macro("STBTT_cos")
#pragma push_macro("STBTT_fabs")
#pragma push_macro("STBTT_fmod")
#pragma push_macro("STBTT_free")
#pragma push_macro("STBTT_iceil")
#pragma push_macro("STBTT_ifloor")
#pragma push_macro("STBTT_malloc")
#pragma push_macro("STBTT_memcpy")
#pragma push_macro("STBTT_memset")
#pragma push_macro("STBTT_pow")
#pragma push_macro("STBTT_sqrt")
#pragma push_macro("STBTT_strlen")
#pragma push_macro("STBTT_vmove")
#pragma push_macro("stbtt_int16")
#pragma push_macro("stbtt_int32")
#pragma push_macro("stbtt_int8")
#pragma push_macro("stbtt_uint16")
#pragma push_macro("stbtt_uint32")
#pragma push_macro("stbtt_uint8")
#pragma push_macro("stbtt_vertex")
#pragma push_macro("stbtt_vertex_type")
#undef __STB_INCLUDE_STB_TRUETYPE_H__
#undef INCLUDE_STB_EASY_FONT_H
#undef STB_RECT_PACK_VERSION
#undef STB_TRUETYPE_IMPLEMENTATION
#undef STBTT_DEF
#undef STBTT_MAX_OVERSAMPLE
#undef STBTT_RASTERIZER_VERSION
#undef STBTT_STATIC
#undef STBTT_acos
#undef STBTT_assert
#undef STBTT_cos
#undef STBTT_fabs
#undef STBTT_fmod
#undef STBTT_free
#undef STBTT_iceil
#undef STBTT_ifloor
#undef STBTT_malloc
#undef STBTT_memcpy
#undef STBTT_memset
#undef STBTT_pow
#undef STBTT_sqrt
#undef STBTT_strlen
#undef STBTT_vmove
#undef stbtt_int16
#undef stbtt_int32
#undef stbtt_int8
#undef stbtt_uint16
#undef stbtt_uint32
#undef stbtt_uint8
#undef stbtt_vertex
#undef stbtt_vertex_type

// stb declares these functions extern "C", a linkage for which namespaces do not count: other names tell them from the program's.
#define stbtt_BakeFontBitmap truetype_BakeFontBitmap
#define stbtt_CompareUTF8toUTF16_bigendian truetype_CompareUTF8toUTF16_bigendian
#define stbtt_FindGlyphIndex truetype_FindGlyphIndex
#define stbtt_FindMatchingFont truetype_FindMatchingFont
#define stbtt_FindSVGDoc truetype_FindSVGDoc
#define stbtt_FreeBitmap truetype_FreeBitmap
#define stbtt_FreeSDF truetype_FreeSDF
#define stbtt_FreeShape truetype_FreeShape
#define stbtt_GetBakedQuad truetype_GetBakedQuad
#define stbtt_GetCodepointBitmap truetype_GetCodepointBitmap
#define stbtt_GetCodepointBitmapBox truetype_GetCodepointBitmapBox
#define stbtt_GetCodepointBitmapBoxSubpixel truetype_GetCodepointBitmapBoxSubpixel
#define stbtt_GetCodepointBitmapSubpixel truetype_GetCodepointBitmapSubpixel
#define stbtt_GetCodepointBox truetype_GetCodepointBox
#define stbtt_GetCodepointHMetrics truetype_GetCodepointHMetrics
#define stbtt_GetCodepointKernAdvance truetype_GetCodepointKernAdvance
#define stbtt_GetCodepointSDF truetype_GetCodepointSDF
#define stbtt_GetCodepointSVG truetype_GetCodepointSVG
#define stbtt_GetCodepointShape truetype_GetCodepointShape
#define stbtt_GetFontBoundingBox truetype_GetFontBoundingBox
#define stbtt_GetFontNameString truetype_GetFontNameString
#define stbtt_GetFontOffsetForIndex truetype_GetFontOffsetForIndex
#define stbtt_GetFontVMetrics truetype_GetFontVMetrics
#define stbtt_GetFontVMetricsOS2 truetype_GetFontVMetricsOS2
#define stbtt_GetGlyphBitmap truetype_GetGlyphBitmap
#define stbtt_GetGlyphBitmapBox truetype_GetGlyphBitmapBox
#define stbtt_GetGlyphBitmapBoxSubpixel truetype_GetGlyphBitmapBoxSubpixel
#define stbtt_GetGlyphBitmapSubpixel truetype_GetGlyphBitmapSubpixel
#define stbtt_GetGlyphBox truetype_GetGlyphBox
#define stbtt_GetGlyphHMetrics truetype_GetGlyphHMetrics
#define stbtt_GetGlyphKernAdvance truetype_GetGlyphKernAdvance
#define stbtt_GetGlyphSDF truetype_GetGlyphSDF
#define stbtt_GetGlyphSVG truetype_GetGlyphSVG
#define stbtt_GetGlyphShape truetype_GetGlyphShape
#define stbtt_GetKerningTable truetype_GetKerningTable
#define stbtt_GetKerningTableLength truetype_GetKerningTableLength
#define stbtt_GetNumberOfFonts truetype_GetNumberOfFonts
#define stbtt_GetPackedQuad truetype_GetPackedQuad
#define stbtt_GetScaledFontVMetrics truetype_GetScaledFontVMetrics
#define stbtt_InitFont truetype_InitFont
#define stbtt_IsGlyphEmpty truetype_IsGlyphEmpty
#define stbtt_MakeCodepointBitmap truetype_MakeCodepointBitmap
#define stbtt_MakeCodepointBitmapSubpixel truetype_MakeCodepointBitmapSubpixel
#define stbtt_MakeCodepointBitmapSubpixelPrefilter truetype_MakeCodepointBitmapSubpixelPrefilter
#define stbtt_MakeGlyphBitmap truetype_MakeGlyphBitmap
#define stbtt_MakeGlyphBitmapSubpixel truetype_MakeGlyphBitmapSubpixel
#define stbtt_MakeGlyphBitmapSubpixelPrefilter truetype_MakeGlyphBitmapSubpixelPrefilter
#define stbtt_PackBegin truetype_PackBegin
#define stbtt_PackEnd truetype_PackEnd
#define stbtt_PackFontRange truetype_PackFontRange
#define stbtt_PackFontRanges truetype_PackFontRanges
#define stbtt_PackFontRangesGatherRects truetype_PackFontRangesGatherRects
#define stbtt_PackFontRangesPackRects truetype_PackFontRangesPackRects
#define stbtt_PackFontRangesRenderIntoRects truetype_PackFontRangesRenderIntoRects
#define stbtt_PackSetOversampling truetype_PackSetOversampling
#define stbtt_PackSetSkipMissingCodepoints truetype_PackSetSkipMissingCodepoints
#define stbtt_Rasterize truetype_Rasterize
#define stbtt_ScaleForMappingEmToPixels truetype_ScaleForMappingEmToPixels
#define stbtt_ScaleForPixelHeight truetype_ScaleForPixelHeight

namespace normnet::normnet_impl {

// Declared here, because stb's own first declaration would name the program's.
struct stbtt_fontinfo;
struct stbtt_pack_context;
struct stbrp_rect;
struct stb_easy_font_info_struct;

// Every translation unit gets its own private copy, which is what lets a header-only library use it.
#define STBTT_STATIC
#define STB_TRUETYPE_IMPLEMENTATION
#include <stb_easy_font.h>
#include <stb_truetype.h>

}  // namespace normnet::normnet_impl

#undef stbtt_BakeFontBitmap
#undef stbtt_CompareUTF8toUTF16_bigendian
#undef stbtt_FindGlyphIndex
#undef stbtt_FindMatchingFont
#undef stbtt_FindSVGDoc
#undef stbtt_FreeBitmap
#undef stbtt_FreeSDF
#undef stbtt_FreeShape
#undef stbtt_GetBakedQuad
#undef stbtt_GetCodepointBitmap
#undef stbtt_GetCodepointBitmapBox
#undef stbtt_GetCodepointBitmapBoxSubpixel
#undef stbtt_GetCodepointBitmapSubpixel
#undef stbtt_GetCodepointBox
#undef stbtt_GetCodepointHMetrics
#undef stbtt_GetCodepointKernAdvance
#undef stbtt_GetCodepointSDF
#undef stbtt_GetCodepointSVG
#undef stbtt_GetCodepointShape
#undef stbtt_GetFontBoundingBox
#undef stbtt_GetFontNameString
#undef stbtt_GetFontOffsetForIndex
#undef stbtt_GetFontVMetrics
#undef stbtt_GetFontVMetricsOS2
#undef stbtt_GetGlyphBitmap
#undef stbtt_GetGlyphBitmapBox
#undef stbtt_GetGlyphBitmapBoxSubpixel
#undef stbtt_GetGlyphBitmapSubpixel
#undef stbtt_GetGlyphBox
#undef stbtt_GetGlyphHMetrics
#undef stbtt_GetGlyphKernAdvance
#undef stbtt_GetGlyphSDF
#undef stbtt_GetGlyphSVG
#undef stbtt_GetGlyphShape
#undef stbtt_GetKerningTable
#undef stbtt_GetKerningTableLength
#undef stbtt_GetNumberOfFonts
#undef stbtt_GetPackedQuad
#undef stbtt_GetScaledFontVMetrics
#undef stbtt_InitFont
#undef stbtt_IsGlyphEmpty
#undef stbtt_MakeCodepointBitmap
#undef stbtt_MakeCodepointBitmapSubpixel
#undef stbtt_MakeCodepointBitmapSubpixelPrefilter
#undef stbtt_MakeGlyphBitmap
#undef stbtt_MakeGlyphBitmapSubpixel
#undef stbtt_MakeGlyphBitmapSubpixelPrefilter
#undef stbtt_PackBegin
#undef stbtt_PackEnd
#undef stbtt_PackFontRange
#undef stbtt_PackFontRanges
#undef stbtt_PackFontRangesGatherRects
#undef stbtt_PackFontRangesPackRects
#undef stbtt_PackFontRangesRenderIntoRects
#undef stbtt_PackSetOversampling
#undef stbtt_PackSetSkipMissingCodepoints
#undef stbtt_Rasterize
#undef stbtt_ScaleForMappingEmToPixels
#undef stbtt_ScaleForPixelHeight
#pragma pop_macro("__STB_INCLUDE_STB_TRUETYPE_H__")
#pragma pop_macro("INCLUDE_STB_EASY_FONT_H")
#pragma pop_macro("STB_RECT_PACK_VERSION")
#pragma pop_macro("STB_TRUETYPE_IMPLEMENTATION")
#pragma pop_macro("STBTT_DEF")
#pragma pop_macro("STBTT_MAX_OVERSAMPLE")
#pragma pop_macro("STBTT_RASTERIZER_VERSION")
#pragma pop_macro("STBTT_STATIC")
#pragma pop_macro("STBTT_acos")
#pragma pop_macro("STBTT_assert")
#pragma pop_macro("STBTT_cos")
#pragma pop_macro("STBTT_fabs")
#pragma pop_macro("STBTT_fmod")
#pragma pop_macro("STBTT_free")
#pragma pop_macro("STBTT_iceil")
#pragma pop_macro("STBTT_ifloor")
#pragma pop_macro("STBTT_malloc")
#pragma pop_macro("STBTT_memcpy")
#pragma pop_macro("STBTT_memset")
#pragma pop_macro("STBTT_pow")
#pragma pop_macro("STBTT_sqrt")
#pragma pop_macro("STBTT_strlen")
#pragma pop_macro("STBTT_vmove")
#pragma pop_macro("stbtt_int16")
#pragma pop_macro("stbtt_int32")
#pragma pop_macro("stbtt_int8")
#pragma pop_macro("stbtt_uint16")
#pragma pop_macro("stbtt_uint32")
#pragma pop_macro("stbtt_uint8")
#pragma pop_macro("stbtt_vertex")
#pragma pop_macro("stbtt_vertex_type")

// What its implementation leaves defined; a program's copy may be of another version and defines them anew.
#undef STBTT__COMPARE
#undef STBTT__CSCTX_INIT
#undef STBTT__NOTUSED
#undef STBTT_GPOS_TODO_assert
#undef stbtt__buf_get16
#undef stbtt__buf_get32
#undef stbtt_tag
#undef stbtt_tag4
#undef ttBYTE
#undef ttCHAR
#undef ttFixed
